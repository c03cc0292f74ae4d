import { operationKinds } from '../operations/operation.js';
import { redisUnavailable } from '../../jobs/errors.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */

/** Number of jobs erased before the list is read again. */
const BATCH = 100;
/** Message to other processes; the principal follows, percent-encoded. */
const FORGET = 'forget';

/**
 * Erases all data of one caller from a deployment: its jobs, workflows and crawls in all processes, its data in
 * Redis, and its data in the memory of each process. Main thread.
 */
export class DeploymentErasure {
  #cluster;
  #directory;
  #operations;
  #erasure;
  #erasers;

  /**
   * @param {object} deps
   * @param {import('../../cluster/cluster.js').Cluster} deps.cluster
   * @param {import('../../cluster/jobs/remote-jobs.js').RemoteJobs} deps.directory
   * @param {import('../../cluster/operations/remote-operations.js').RemoteOperations} deps.operations
   * @param {import('./service.js').Erasure} deps.erasure of this process
   * @param {((principal: string) => void | Promise<void>)[]} deps.erasers one for each service with data of
   *   principals in Redis; each erases the data of one principal, and rejects with an HttpError 503 while it cannot
   */
  constructor({ cluster, directory, operations, erasure, erasers }) {
    this.#cluster = cluster;
    this.#directory = directory;
    this.#operations = operations;
    this.#erasure = erasure;
    this.#erasers = erasers;
    cluster.on('message', (message) => {
      const [kind, name = ''] = message.split(' ');
      if (kind !== FORGET) return;
      const principal = decoded(name);
      if (principal !== undefined) erasure.forget(principal);
    });
  }

  /**
   * Ends and erases everything of one caller.
   * @param {string} principal
   * @returns {Promise<void>} resolves when Redis and this process hold nothing of it, and the other processes have
   *   dropped what they had in memory; one that does not answer within a second does so when it reads its messages
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away, or a job does not
   *   end: the erasure is incomplete; repeat the call
   */
  async principal(principal) {
    for (const kind of operationKinds) {
      await this.#eraseAll([`${kind}s:${principal}`, `ended_${kind}s:${principal}`], (id) =>
        this.#operations.log(kind, id, principal),
      );
    }
    await this.#eraseAll([`jobs:${principal}`, `ended:${principal}`], (id) =>
      this.#directory.find(id, principal),
    );
    this.#erasure.forget(principal);
    // Names of principals may contain lone surrogates.
    const name = encodeURIComponent(principal.toWellFormed());
    const { redis, process } = this.#cluster;
    await redis.run('announce', ['procs'], [process, `${FORGET} ${name}`]);
    for (const erase of this.#erasers) await erase(principal);
    await this.#cluster.barrier();
  }

  /**
   * @param {[all: string, ended: string]} lists of the principal
   * @param {(id: string) => any} find the record of a job or an operation
   */
  async #eraseAll([jobs, ended], find) {
    const { redis } = this.#cluster;
    const tried = new Set();
    for (;;) {
      const ids = await redis.command('ZRANGE', jobs, 0, BATCH - 1);
      if (ids.length === 0) break;
      for (const id of ids) {
        /** @type {JobRecord | undefined} */
        const record = await find(id);
        if (record === undefined) {
          // The keys of the job have expired.
          await redis.command('ZREM', jobs, id);
          continue;
        }
        if (tried.has(id)) throw redisUnavailable();
        tried.add(id);
        const eraseOwn = (/** @type {JobRecord} */ own) => this.#erasure.job(own);
        await this.#directory.erase(record, eraseOwn, { waits: false });
      }
    }
    await redis.command('DEL', ended);
  }
}

/** @param {string} name percent-encoded @returns {string | undefined} undefined: it is not */
function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}
