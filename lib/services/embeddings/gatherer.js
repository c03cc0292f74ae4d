import { whenAborted } from '../../internal/util/abort.js';
import { shareOut } from './vectors.js';
import { stringifyExact } from '../../internal/util/exact-json.js';

/** @typedef {string | number[]} EmbeddingInput a text, or tokens */
/** @typedef {import('../../providers/shared/types.js').EmbeddingCall} EmbeddingCall */
/** @typedef {import('../../providers/shared/types.js').EmbeddingAnswer & {promptTokens: number}} CountedAnswer */

/**
 * A request for embeddings.
 * @typedef {EmbeddingCall & {user?: string}} EmbeddingAsked `user`: passed on if all requests of a
 *   call have the same
 */

/**
 * @typedef {object} Waiting a request that waits for its vectors
 * @property {EmbeddingInput[]} inputs
 * @property {string} [user]
 * @property {AbortSignal} signal
 * @property {(answer: CountedAnswer) => void} resolve
 * @property {(error: unknown) => void} reject
 * @property {boolean} left
 */

/**
 * @typedef {object} GathererOptions
 * @property {number} maxInputs number of waiting inputs at which a call is made
 * @property {number} idleMs time without a new request after which a call is made
 * @property {number} maxWaitMs longest wait of the first request
 */

/** Maximum inputs of one call, set by the API. */
export const CALL_INPUTS_MAX = 2048;

/** Refusals of an upstream that may be due to one of several requests. */
const OWN_STATUSES = new Set([400, 413, 422]);

/** @param {EmbeddingInput} input */
const bytesOf = (input) => (typeof input === 'string' ? Buffer.byteLength(input) : input.length);

/** @param {readonly EmbeddingInput[]} inputs */
const weightOf = (inputs) =>
  Math.max(
    1,
    inputs.reduce((sum, each) => sum + bytesOf(each), 0),
  );

/**
 * Gathers requests for embeddings that differ only in their inputs into calls of the upstream. Real
 * time; main thread.
 */
export class EmbeddingGatherer {
  #call;
  #options;
  /** @type {Map<string, Group>} by the common members of their requests */
  #groups = new Map();
  /** Numbers of calls, and of requests answered by them. */
  stats = { calls: 0, requests: 0, inputs: 0 };

  /**
   * @param {(call: EmbeddingCall, signal: AbortSignal) => Promise<CountedAnswer>} call makes a call
   *   of the upstream, with its retries
   * @param {GathererOptions} options
   */
  constructor(call, options) {
    this.#call = call;
    this.#options = options;
  }

  /**
   * @param {EmbeddingAsked} asked
   * @param {AbortSignal} signal withdraws the request; without requests the call ends
   * @returns {Promise<CountedAnswer>} its vectors in the order of its inputs, its share of the usage
   * @throws the reason of the signal, or the error of the call
   */
  embed({ inputs, user, ...common }, signal) {
    signal.throwIfAborted();
    const key = stringifyExact([typeof inputs[0], common]);
    let group = this.#groups.get(key);
    // A group without requests makes no call.
    const open = group?.abort.signal.aborted === false;
    if (group !== undefined && (!open || group.size + inputs.length > CALL_INPUTS_MAX)) {
      this.#send(key, group);
      group = undefined;
    }
    if (group === undefined) {
      group = new Group(common, this.#options, (full) => this.#send(key, full));
      this.#groups.set(key, group);
    }
    return group.add({ inputs, user }, signal);
  }

  /** @param {string} key @param {Group} group */
  #send(key, group) {
    if (this.#groups.get(key) === group) this.#groups.delete(key);
    group.close();
    void this.#run(group);
  }

  /** @param {Group} group */
  async #run(group) {
    const present = group.waiting.filter(({ left }) => !left);
    if (present.length === 0) return;
    try {
      const answer = await this.#callFor(group, present, group.abort.signal);
      deliver(present, answer);
    } catch (/** @type {any} */ error) {
      if (present.length === 1 || !OWN_STATUSES.has(error?.upstream?.status)) {
        for (const { reject } of present) reject(error);
        return;
      }
      // Each request is repeated alone, so that only its own sender gets a refusal.
      await Promise.all(
        present.map(async (each) => {
          if (each.left) return;
          try {
            deliver([each], await this.#callFor(group, [each], each.signal));
          } catch (own) {
            each.reject(own);
          }
        }),
      );
    }
  }

  /** @param {Group} group @param {Waiting[]} members @param {AbortSignal} signal */
  #callFor({ common }, members, signal) {
    const inputs = members.flatMap((each) => each.inputs);
    const [{ user }] = members;
    const shared = user !== undefined && members.every((each) => each.user === user);
    const body = shared ? { ...common.body, user } : common.body;
    this.stats.calls += 1;
    this.stats.requests += members.length;
    this.stats.inputs += inputs.length;
    return this.#call({ ...common, body, inputs }, signal);
  }
}

/** Requests of one call. */
class Group {
  /** @type {Waiting[]} */
  waiting = [];
  abort = new AbortController();
  size = 0;
  #options;
  #send;
  #idle;
  #latest;

  /**
   * @param {Omit<EmbeddingCall, 'inputs'>} common
   * @param {GathererOptions} options
   * @param {(group: Group) => void} send
   */
  constructor(common, options, send) {
    this.common = common;
    this.#options = options;
    this.#send = () => send(this);
    this.#idle = setTimeout(this.#send, options.idleMs);
    this.#latest = setTimeout(this.#send, options.maxWaitMs);
  }

  /**
   * @param {Pick<Waiting, 'inputs' | 'user'>} asked
   * @param {AbortSignal} signal
   * @returns {Promise<CountedAnswer>}
   */
  add({ inputs, user }, signal) {
    return new Promise((resolve, reject) => {
      const stop = whenAborted(signal, () => {
        each.left = true;
        reject(signal.reason);
        if (this.waiting.every(({ left }) => left)) this.abort.abort(signal.reason);
      });
      /** @type {Waiting} */
      const each = {
        inputs,
        user,
        signal,
        left: false,
        resolve: (answer) => {
          stop();
          resolve(answer);
        },
        reject: (error) => {
          stop();
          reject(error);
        },
      };
      this.waiting.push(each);
      this.size += inputs.length;
      this.#idle.refresh();
      if (this.size >= this.#options.maxInputs) this.#send();
    });
  }

  /** Refuses further requests. */
  close() {
    clearTimeout(this.#idle);
    clearTimeout(this.#latest);
  }
}

/**
 * @param {Waiting[]} members of one call
 * @param {CountedAnswer} answer
 */
function deliver(members, { embeddings, promptTokens, model }) {
  const shares = shareOut(
    promptTokens,
    members.map(({ inputs }) => weightOf(inputs)),
  );
  let from = 0;
  members.forEach(({ inputs, resolve }, i) => {
    const own = embeddings.slice(from, from + inputs.length);
    from += inputs.length;
    resolve({ embeddings: own, promptTokens: shares[i], model });
  });
}
