import { callBody, stopsOf, swappableIn } from './body.js';
import { refusalOf, relayErrors } from './relay.js';
import { refusedMember } from './errors.js';
import { stringifyExact } from '../../internal/util/exact-json.js';

/** @typedef {import('./body.js').OpenAiRequest} OpenAiRequest */
/** @typedef {import('./body.js').SwappedMember} SwappedMember */
/** @typedef {import('../../internal/native/relay-types.js').RelayHub} RelayHub */
/** @typedef {import('../../internal/native/relay-types.js').RelayTarget} RelayTarget */
/** @typedef {import('../../internal/native/relay-types.js').RelayedCall} RelayedCall */
/** @typedef {import('../../internal/native/relay-types.js').RelayOutcome} RelayOutcome */

/**
 * The part of a provider that its calls share.
 * @typedef {object} Caller
 * @property {'chat' | 'completions'} mode
 * @property {string} origin
 * @property {number} idleMs
 * @property {string[]} secrets
 * @property {import('../shared/refused-members.js').RefusedMembers<SwappedMember>} refused
 * @property {Set<RelayedCall>} calls running ones
 * @property {(hub: RelayHub, target: RelayTarget, body: string, headers?: Record<string, string>) =>
 *   RelayedCall} start `headers`: of this call
 */

/**
 * The destination of the answers.
 * @typedef {object} RelayTo
 * @property {RelayHub} hub
 * @property {readonly number[]} handles the requests' jobs; the end of a job closes its answer
 * @property {readonly (readonly number[])[]} [siblings] jobs of each request's further answers
 * @property {(index: number, error: import('../shared/errors.js').ProviderError) => void} onError called for each
 *   request that failed; its job has not ended
 * @property {import('../shared/types.js').OnCall} [onCall] called for each call
 */

/**
 * The requests that share a call. A call whose server refuses a member that can be swapped is repeated. It
 * lasts as long as its streams: of each call it keeps only what a repetition needs, and it makes the body anew.
 */
class RelayedGroup {
  #caller;
  #requests;
  #group;
  #to;
  #onDone;
  #onThrown;
  /** Refused so far. @type {ReadonlySet<SwappedMember>} */
  #refused;
  /** @type {RelayedCall | undefined} */
  #call = undefined;
  /** @type {import('../shared/types.js').CallReport | undefined} */
  #report = undefined;

  /**
   * @param {Caller} caller
   * @param {readonly OpenAiRequest[]} requests
   * @param {readonly number[]} group the indices of those that share the call
   * @param {RelayTo} to
   * @param {() => void} onDone called after the last event of their jobs
   * @param {(error: unknown) => void} onThrown called in place of it with an error of `onCall` or `onError`
   */
  constructor(caller, requests, group, to, onDone, onThrown) {
    this.#caller = caller;
    this.#requests = requests;
    this.#group = group;
    this.#to = to;
    this.#onDone = onDone;
    this.#onThrown = onThrown;
    this.#refused = caller.refused.of(this.#first.model);
  }

  get #first() {
    return this.#requests[this.#group[0]];
  }

  /** Jobs of the requests' further answers. */
  get #more() {
    const { siblings = [] } = this.#to;
    return this.#group.flatMap((index) => siblings[index] ?? []);
  }

  get #body() {
    const members = this.#group.map((index) => this.#requests[index]);
    return callBody(this.#caller.mode, members, this.#refused);
  }

  /** @returns {RelayTarget} */
  get #target() {
    const { handles } = this.#to;
    const more = this.#more;
    return {
      idleMs: this.#caller.idleMs,
      jobs: [...this.#group.map((index) => handles[index]), ...more],
      oneAnswer: more.length > 0,
      stops: stopsOf(this.#first),
    };
  }

  start() {
    const { origin, calls } = this.#caller;
    const { hub, onCall } = this.#to;
    const body = stringifyExact(this.#body);
    this.#report = onCall?.(this.#group, { url: origin, model: this.#first.model });
    const call = this.#caller.start(hub, this.#target, body, this.#report?.headers);
    this.#call = call;
    calls.add(call);
    call.whenDone(this.#end);
  }

  /** @type {(outcome: RelayOutcome | null) => void} */
  #end = (outcome) => {
    try {
      if (this.#take(outcome)) this.#onDone();
      else this.start();
    } catch (error) {
      this.#onThrown(error);
    }
  };

  /**
   * @param {RelayOutcome | null} outcome
   * @returns {boolean} false: the call is to be repeated
   */
  #take(outcome) {
    const { idleMs, secrets, calls, refused } = this.#caller;
    calls.delete(/** @type {RelayedCall} */ (this.#call));
    if (outcome === null) {
      this.#report?.end();
      return true;
    }
    const errors = relayErrors(outcome, { idleMs, secrets });
    this.#report?.end(errors.find(Boolean));
    const refusal = refusalOf(outcome);
    const member =
      refusal === '' ? undefined : refusedMember(refusal, swappableIn(this.#body, this.#refused));
    if (member !== undefined) {
      this.#refused = new Set([...this.#refused, member]);
      refused.add(this.#first.model, member);
      return false;
    }
    // The job of several answers fails with any of them.
    const whole = this.#more.length > 0 ? [errors.find(Boolean)] : errors;
    whole.forEach((error, i) => error && this.#to.onError(this.#group[i], error));
    return true;
  }
}

/**
 * Makes the call for requests that share one.
 * @param {Caller} caller
 * @param {readonly OpenAiRequest[]} requests
 * @param {readonly number[]} group the indices of those that share the call
 * @param {RelayTo} to
 * @returns {Promise<void>} resolves after the last event of their jobs
 */
export function relayGroup(caller, requests, group, to) {
  return new Promise((resolve, reject) => {
    new RelayedGroup(caller, requests, group, to, resolve, reject).start();
  });
}
