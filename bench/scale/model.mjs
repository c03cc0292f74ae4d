/**
 * The capacity of a number of processes and of Redis servers, from the costs of a token and of a job. Pure functions.
 *
 * A deployment is a Redis server and the processes on it. The use grows in proportion to the tokens and the
 * jobs of a second, but for the beats: each process asks five times per lease for the beats of all, so that they
 * grow with the square of the processes.
 */

/**
 * @typedef {object} Workload of a deployment
 * @property {number} tokens of a job
 * @property {number} tokensPerSecond of a running job
 * @property {number} retentionSeconds
 * @property {number} leaseSeconds
 */

/**
 * @typedef {object} Machine
 * @property {number} share of a core that is used at most, of a process's main thread and of Redis
 * @property {number} redisBytes memory of a Redis server
 * @property {number} redisNetBytes network of a Redis server, in a second, in both directions
 * @property {number} redisClients `maxclients`
 * @property {number} streamsPerProcess open files, and the rest of a process
 */

/** @type {Workload} */
export const CHAT = { tokens: 400, tokensPerSecond: 30, retentionSeconds: 600, leaseSeconds: 10 };

/** @type {Machine} */
export const MACHINE = {
  share: 0.7,
  redisBytes: 32 * 2 ** 30,
  redisNetBytes: 1.25e9,
  redisClients: 10_000,
  streamsPerProcess: 10_000,
};

const CONNECTIONS_PER_PROCESS = 4;
const BEATS_PER_LEASE = 5;

/**
 * @param {any} costs of costs.json
 * @param {{tokens: number, remoteTokens: number, jobs: number, seconds: number}} done
 * @param {number} processes
 * @param {number} [leaseSeconds]
 * @returns {{processUs: number, redisUs: number}} CPU of all processes together, and of Redis
 */
export function cpuOf(
  costs,
  { tokens, remoteTokens, jobs, seconds },
  processes,
  leaseSeconds = 10,
) {
  const { processUs, redisUs } = costs;
  const beats = (processes * BEATS_PER_LEASE * seconds) / leaseSeconds;
  return {
    processUs:
      tokens * processUs.token + remoteTokens * processUs.remoteToken + jobs * processUs.job,
    redisUs:
      tokens * redisUs.token +
      remoteTokens * redisUs.remoteToken +
      jobs * redisUs.job +
      beats * (redisUs.beat + redisUs.beatMember * processes),
  };
}

/**
 * The number of jobs that can run at a time, by the resource that is full first.
 * @param {any} costs
 * @param {number} processes of one deployment
 * @param {Workload} [workload]
 * @param {Machine} [machine]
 * @returns {{streams: number, limit: string, limits: Record<string, number>}}
 */
export function capacity(costs, processes, workload = CHAT, machine = MACHINE) {
  const { tokens, tokensPerSecond, retentionSeconds, leaseSeconds } = workload;
  // Balancers do not know where a job is: of N processes one has it.
  const remote = (processes - 1) / processes;
  const perStream = {
    ...{ tokens: tokensPerSecond, remoteTokens: tokensPerSecond * remote },
    ...{ jobs: tokensPerSecond / tokens, seconds: 0 },
  };
  const used = cpuOf(costs, perStream, processes, leaseSeconds);
  const idle = cpuOf(
    costs,
    { tokens: 0, remoteTokens: 0, jobs: 0, seconds: 1 },
    processes,
    leaseSeconds,
  );
  const { redisBytes, redisNetBytes } = costs;
  const kept = perStream.jobs * (retentionSeconds + tokens / tokensPerSecond);
  const bytes = kept * (redisBytes.job + tokens * redisBytes.token);
  const netBytes =
    perStream.tokens * redisNetBytes.token + perStream.remoteTokens * redisNetBytes.remoteToken;
  const tooMany = processes * CONNECTIONS_PER_PROCESS > machine.redisClients;
  const limits = {
    'CPU of the processes': (processes * machine.share * 1e6) / used.processUs,
    'streams of the processes': (processes * machine.streamsPerProcess) / (1 + remote),
    'CPU of Redis': Math.max(0, (machine.share * 1e6 - idle.redisUs) / used.redisUs),
    'memory of Redis': machine.redisBytes / bytes,
    'network of Redis': machine.redisNetBytes / netBytes,
    'connections of Redis': tooMany ? 0 : Infinity,
  };
  const [limit, streams] = Object.entries(limits).sort(([, a], [, b]) => a - b)[0];
  return { streams: Math.floor(streams), limit, limits };
}

/**
 * The share of the fullest of several deployments when tenants, of very different sizes, are spread over them.
 * @param {number} deployments
 * @param {'hash' | 'size'} rule by a hash of their names, or the largest first to the emptiest
 * @param {{tenants?: number, random: () => number}} options sizes are as 1/rank
 * @returns {number} against an even share, at least 1
 */
export function fullest(deployments, rule, { tenants = 2000, random }) {
  const loads = new Float64Array(deployments);
  let sum = 0;
  for (let rank = 1; rank <= tenants; rank += 1) {
    const size = 1 / rank;
    sum += size;
    const at =
      rule === 'hash' ? Math.floor(random() * deployments) : loads.indexOf(Math.min(...loads));
    loads[at] += size;
  }
  return Math.max(...loads) / (sum / deployments);
}
