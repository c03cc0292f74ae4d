/**
 * Measures a deployment on this machine, and compares the figures with the bounds of its design.
 * Each measurement gives rows of a table.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Reader, call, msOf, nowNs, percentile, post, until, whenReady } from './clients.mjs';
import { infoOf, measureLoad, startDeployment } from './deployment.mjs';

const LEASE_MS = 1000;
const SHORT_LEASE = { redis: { leaseMs: LEASE_MS } };

/** @typedef {{number: string, bound: string, measured: string, held: boolean}} Row */
/** @typedef {import('./deployment.mjs').Deployment} Deployment */

/** @param {number} value */
const round = (value) => Number(value.toFixed(value < 10 ? 2 : 1));

/**
 * @param {string} number
 * @param {number} bound
 * @param {number} value
 * @param {string} unit
 * @returns {Row}
 */
const atMost = (number, bound, value, unit) => ({
  ...{ number, bound: `<= ${bound} ${unit}`, measured: `${round(value)} ${unit}` },
  held: Number.isFinite(value) && Number.isFinite(bound) && value <= bound,
});

/**
 * Runs a measurement on a separate deployment.
 * @param {number} count of processes
 * @param {Parameters<typeof startDeployment>[1]} options
 * @param {(deployment: Deployment) => Promise<Row[]>} measure
 */
async function on(count, options, measure) {
  const deployment = await startDeployment(count, options);
  try {
    await Promise.all(deployment.processes.map(whenReady));
    return await measure(deployment);
  } finally {
    await deployment.stop();
  }
}

/** Ids that are missing, repeated or out of order within their attempt. @param {Reader} reader */
function misplaced({ events }) {
  let [attempt, seq, count] = [0, 0, 0];
  for (const { id, type } of events) {
    if (type === 'gap') continue;
    const [a, s] = id.split('-').map(Number);
    if (a === attempt ? s !== seq + 1 : a < attempt) count += 1;
    [attempt, seq] = [a, s];
  }
  return count;
}

const resumed = () =>
  on(3, { options: SHORT_LEASE }, async ({ processes }) => {
    const tokens = 60;
    const text = 'token '.repeat(tokens);
    const readers = [];
    for (let i = 0; i < 12; i += 1) {
      const prompt = { tokens, intervalMs: 5 };
      const { stream_url: path } = await post(processes[i % 3], prompt);
      for (const perConnection of [1, 3, 7]) {
        readers.push({
          path,
          reader: new Reader(() => processes, path, { perConnection, first: i }),
        });
      }
    }
    await Promise.all(readers.map(({ reader }) => reader.done));
    const later = readers.map(({ path }, i) => {
      return new Reader(() => processes, path, { perConnection: 11, first: i });
    });
    await Promise.all(later.map(({ done }) => done));
    const all = [...readers.map(({ reader }) => reader), ...later];
    const wrong = all.filter((reader) => reader.text !== text || misplaced(reader) > 0).length;
    const gaps = all.filter(({ events }) => events.some(({ type }) => type === 'gap')).length;
    return [
      atMost('resume on another process: wrong texts', 0, wrong, `of ${all.length}`),
      atMost('resume on another process: gaps', 0, gaps, `of ${all.length}`),
    ];
  });

/** The first second of a stream, in which all of them are opened at once, is not the steady state. */
const RAMP_TOKENS = 20;

/**
 * Latencies of stamped tokens from the model to readers, in milliseconds, after the first second.
 * @param {Deployment} deployment
 * @param {number} streams
 * @param {number} readAt index of the process of the second readers
 */
async function latencies({ processes }, streams, readAt) {
  const pairs = await Promise.all(
    Array.from({ length: streams }, async (_, i) => {
      await sleep((i * 50) / streams);
      const prompt = { tokens: 200, intervalMs: 50, stampAs: `s${i}` };
      const { stream_url: path } = await post(processes[0], prompt);
      return [0, readAt].map((at) => new Reader(() => [processes[at]], path));
    }),
  );
  await Promise.all(pairs.flat().map(({ done }) => done));
  const tokensOf = (/** @type {Reader} */ { events }) =>
    events.filter(({ type }) => type === 'token');
  const local = [];
  const added = [];
  for (const [own, other] of pairs) {
    const there = new Map(tokensOf(other).map(({ id, atNs }) => [id, atNs]));
    for (const { id, data, atNs } of tokensOf(own).slice(RAMP_TOKENS)) {
      local.push(msOf(atNs - Number(data.token)));
      added.push(msOf((there.get(id) ?? NaN) - atNs));
    }
  }
  return { local, added };
}

async function addedLatency() {
  /** @type {number[]} */
  let local = [];
  const rows = await on(2, {}, async (deployment) => {
    const many = await latencies(deployment, 100, 1);
    const one = await latencies(deployment, 1, 1);
    local = many.local;
    return [
      atMost('added by another process, 100 streams, p50', 15, percentile(many.added, 0.5), 'ms'),
      atMost('added by another process, 100 streams, p99', 40, percentile(many.added, 0.99), 'ms'),
      atMost('added by another process, one stream, p50', 8, percentile(one.added, 0.5), 'ms'),
    ];
  });
  const alone = await on(1, { isShared: false }, async (deployment) => {
    const { local: without } = await latencies(deployment, 100, 0);
    const more = percentile(local, 0.99) - percentile(without, 0.99);
    return [atMost('a local reader, p99 beyond that without Redis', 10, more, 'ms')];
  });
  return [...rows, ...alone];
}

/** @param {number} seconds */
async function cpu(seconds) {
  // No job begins or ends while it is measured.
  const load = (/** @type {number} */ intervalMs) => ({
    ...{ workers: 100, seconds, intervalMs },
    tokens: Math.ceil(((seconds + 8) * 1000) / intervalMs),
  });
  const perToken = (/** @type {import('./deployment.mjs').Measured} */ { processUs, tokens }) =>
    processUs[0] / tokens;
  const own = await measureLoad({ ...load(40), processes: 1, reads: 'own' });
  const alone = await measureLoad({ ...load(40), processes: 1, reads: 'own' }, { isShared: false });
  // 2,000 tokens a second.
  const remote = await measureLoad({ ...load(50), processes: 2, reads: 'next' });
  const more = perToken(own) - perToken(alone);
  const bound = round(Math.max(6, 0.35 * perToken(alone)));
  const there = remote.processUs[1] / remote.tokens / perToken(alone);
  return [
    atMost("the owner's CPU per token, beyond that without Redis", bound, more, 'us'),
    atMost('CPU of a token read elsewhere, of that of a local one', 1.2, there, 'times'),
    atMost('Redis per token, at 2,000/s read elsewhere', 12, remote.redisUs / remote.tokens, 'us'),
  ];
}

/** The cost for Redis of readers of one job at another process. @param {Deployment} deployment @param {number} readers */
async function costOfReaders({ processes, redis }, readers) {
  const prompt = { tokens: 400, intervalMs: 10 };
  const jobs = await Promise.all(Array.from({ length: 5 }, () => post(processes[0], prompt)));
  const before = await infoOf(redis);
  const all = jobs.flatMap(({ stream_url: path }) =>
    Array.from({ length: readers }, () => new Reader(() => [processes[1]], path)),
  );
  await Promise.all(all.map(({ done }) => done));
  const after = await infoOf(redis);
  return { us: after.us - before.us, netBytes: after.netBytes - before.netBytes };
}

const fanOut = () =>
  on(2, {}, async (deployment) => {
    const one = await costOfReaders(deployment, 1);
    const forty = await costOfReaders(deployment, 40);
    return [
      atMost('40 readers cost Redis, of one: CPU', 1.2, forty.us / one.us, 'times'),
      atMost('40 readers cost Redis, of one: network', 1.2, forty.netBytes / one.netBytes, 'times'),
    ];
  });

/** @param {number} intervalMs */
const memory = (intervalMs) =>
  on(1, {}, async ({ processes, redis }) => {
    const run = async (/** @type {number} */ count, /** @type {number} */ tokens) => {
      const jobs = await Promise.all(
        Array.from({ length: count }, () => post(processes[0], { tokens, intervalMs })),
      );
      const readers = jobs.map(({ stream_url: path }) => new Reader(() => processes, path));
      await Promise.all(readers.map(({ done }) => done));
    };
    // Scripts, buffers and indexes are there from then on.
    await run(100, 5);
    const before = await infoOf(redis);
    await run(100, 500);
    const after = await infoOf(redis);
    const pace = intervalMs === 0 ? 'at full speed' : `${1000 / intervalMs} a second`;
    const bytes = (after.bytes - before.bytes) / (100 * 500);
    return [atMost(`memory of Redis per token, jobs of 500, ${pace}`, 40, bytes, 'bytes')];
  });

async function posts() {
  /** @param {boolean} isShared */
  const median = async (isShared) => {
    const deployment = await startDeployment(1, { isShared });
    try {
      await Promise.all(deployment.processes.map(whenReady));
      const times = [];
      for (let i = 0; i < 150; i += 1) {
        const body = { prompt: '{"tokens":1,"intervalMs":0}', on_disconnect: 'continue' };
        times.push((await call(deployment.processes[0], 'POST', '/v1/jobs', body)).ms);
      }
      return percentile(times, 0.5);
    } finally {
      await deployment.stop();
    }
  };
  const more = (await median(true)) - (await median(false));
  return [atMost('POST, median beyond that without Redis', 3, more, 'ms')];
}

/**
 * @param {Reader} reader
 * @param {(event: import('./clients.mjs').ReadEvent) => boolean} is
 * @param {number} sinceNs
 * @returns {Promise<number>} milliseconds until the first such event
 */
async function untilEvent(reader, is, sinceNs) {
  await until(() => reader.events.some(is), 'an event');
  return msOf((reader.events.find(is)?.atNs ?? NaN) - sinceNs);
}

const isEnd = (/** @type {{type: string}} */ { type }) =>
  type === 'job_error' || type === 'job_retry';

const killed = () =>
  on(3, { options: SHORT_LEASE }, async ({ processes }) => {
    const [a, b, c] = processes;
    const jobs = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        post(a, { tokens: 20, intervalMs: 20, stopAt: i % 2 === 0 ? 5 : 0 }),
      ),
    );
    const readers = jobs.map(({ stream_url: path }, i) => {
      return new Reader(() => [i % 2 === 0 ? b : c], path);
    });
    await until(
      () => readers.every(({ events }, i) => i % 2 === 1 || events.length === 5),
      'tokens',
    );
    const killedNs = nowNs();
    await a.stop();
    const times = await Promise.all(readers.map((reader) => untilEvent(reader, isEnd, killedNs)));
    for (const reader of readers) reader.leave();
    return [
      atMost('SIGKILL to ending or attempt 2 elsewhere', LEASE_MS + 2000, Math.max(...times), 'ms'),
    ];
  });

/** @param {'SIGKILL' | 'SIGTERM'} signal @param {number} bound */
const queued = (signal, bound) =>
  on(2, { options: { ...SHORT_LEASE, maxConcurrency: 1 } }, async ({ processes, add }) => {
    const [a] = processes;
    await post(a, { tokens: 3, intervalMs: 20, stopAt: 1 });
    const b = await add();
    await whenReady(b);
    const job = await post(a, { tokens: 3, intervalMs: 20 });
    const reader = new Reader(() => [b], job.stream_url);
    await sleep(200);
    const sinceNs = nowNs();
    a.child.kill(signal);
    const ms = await untilEvent(reader, ({ type }) => type === 'token', sinceNs);
    const state = signal === 'SIGKILL' ? 'killed' : 'leaving';
    return [atMost(`queued work of a ${state} process begins elsewhere`, bound, ms, 'ms')];
  });

/** @param {number} frozenMs */
const frozen = (frozenMs) =>
  on(2, { options: SHORT_LEASE }, async ({ processes, server, redis }) => {
    const [a, b] = processes;
    const intervalMs = 50;
    const tokens = (frozenMs + 4000) / intervalMs;
    const { stream_url: path } = await post(a, { tokens, intervalMs, stampAs: 'f' });
    const [own, other] = [new Reader(() => [a], path), new Reader(() => [b], path)];
    await until(() => other.events.length > 10, 'tokens elsewhere');
    server.child.kill('SIGSTOP');
    await sleep(frozenMs);
    server.child.kill('SIGCONT');
    const thawNs = nowNs();
    await Promise.all([own.done, other.done]);
    const gaps = own.events.slice(1).map(({ atNs }, i) => msOf(atNs - own.events[i].atNs));
    const next = other.events.find(({ atNs }) => atNs > thawNs);
    const dead = await redis.scard('{sluice}:dead');
    const lost = own.text === other.text ? 0 : 1;
    const outage = `Redis frozen for ${frozenMs / 1000} s`;
    return [
      atMost(`${outage}: silence of a local stream`, intervalMs + 250, Math.max(...gaps), 'ms'),
      atMost(
        `${outage}: others go on after the thaw`,
        1000,
        msOf((next?.atNs ?? NaN) - thawNs),
        'ms',
      ),
      atMost(`${outage}: failovers and lost texts`, 0, dead + lost, ''),
    ];
  });

const cancelled = () =>
  on(2, { options: SHORT_LEASE }, async ({ processes }) => {
    const [a, b] = processes;
    let printed = '';
    a.child.stdout?.on('data', (text) => (printed += text));
    const closed = [];
    const answered = [];
    for (let i = 0; i < 20; i += 1) {
      const job = await post(a, { tokens: 500, intervalMs: 20, stampAs: `c${i}` });
      await sleep(60);
      const sinceNs = nowNs();
      const { ms } = await call(b, 'POST', `/v1/jobs/${job.job_id}/cancel`);
      answered.push(ms);
      const line = new RegExp(`^closed c${i} (\\d+)$`, 'm');
      await until(() => line.test(printed), 'the end of the call');
      closed.push(msOf(Number(line.exec(printed)?.[1]) - sinceNs));
    }
    const job = await post(a, { tokens: 500, intervalMs: 20, stampAs: 'z' });
    await sleep(60);
    a.child.kill('SIGSTOP');
    const { ms } = await call(b, 'POST', `/v1/jobs/${job.job_id}/cancel`);
    a.child.kill('SIGCONT');
    return [
      atMost('cancel elsewhere: call closed, slowest of 20', 300, Math.max(...closed), 'ms'),
      atMost('cancel elsewhere: answered, slowest of 20', 1000, Math.max(...answered), 'ms'),
      atMost('cancel elsewhere: answered, owner frozen', 3000, ms, 'ms'),
    ];
  });

const crowd = () =>
  on(2, {}, async ({ processes }) => {
    const [a, b] = processes;
    const jobs = await Promise.all(
      Array.from({ length: 50 }, () => post(a, { tokens: 60, intervalMs: 50 })),
    );
    await sleep(300);
    const readers = Array.from({ length: 500 }, (_, i) => {
      return new Reader(() => [b], jobs[i % 50].stream_url);
    });
    await until(() => readers.every(({ events }) => events.length > 0), 'first events');
    const times = readers.map(({ startNs, events }) => msOf(events[0].atNs - startNs));
    for (const reader of readers) reader.leave();
    return [
      atMost('500 readers at once of 50 jobs of others, p99', 1500, percentile(times, 0.99), 'ms'),
    ];
  });

/** By name. @type {Record<string, (options: {seconds: number}) => Promise<Row[]>>} */
const MEASUREMENTS = {
  resume: resumed,
  latency: addedLatency,
  cpu: ({ seconds }) => cpu(seconds),
  readers: fanOut,
  memory: async () => [...(await memory(0)), ...(await memory(40))],
  post: posts,
  killed,
  queued: async () => [
    ...(await queued('SIGKILL', LEASE_MS + 2000)),
    ...(await queued('SIGTERM', 1000)),
  ],
  frozen: async () => [...(await frozen(1500)), ...(await frozen(15_000))],
  cancel: cancelled,
  crowd,
};

export const BOUNDS = Object.keys(MEASUREMENTS);

/**
 * Measures one after the other: some two minutes for all.
 * @param {object} options
 * @param {number} options.seconds of the measurements of CPU
 * @param {string[]} options.names of BOUNDS
 * @returns {Promise<Row[]>}
 */
export async function measureBounds({ seconds, names }) {
  /** @type {Row[]} */
  const rows = [];
  for (const name of names) {
    process.stderr.write(`measuring ${name}\n`);
    try {
      rows.push(...(await MEASUREMENTS[name]({ seconds })));
    } catch (/** @type {any} */ error) {
      rows.push({ number: name, bound: '', measured: error.message, held: false });
    }
  }
  return rows;
}
