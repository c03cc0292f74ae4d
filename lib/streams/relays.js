import { FedCall } from './fed-call.js';

/** @typedef {import('../internal/native/relay-types.js').RelayOutcome} RelayOutcome */
/** @typedef {import('../internal/native/relay-types.js').RelayRequest} RelayRequest */
/** @typedef {import('../internal/native/relay-types.js').RelayTarget} RelayTarget */
/** @typedef {import('../internal/native/relay-types.js').RelayedCall} RelayedCall */

/**
 * One upstream call, a RelayedCall. It lasts as long as its stream, so it has a callback in place of a
 * promise with its functions.
 */
class Call {
  /** @type {RelayOutcome | null | undefined} undefined: still running */
  #outcome = undefined;
  /** @type {((outcome: RelayOutcome | null) => void) | undefined} */
  #onDone = undefined;
  #relays;
  #id;

  /**
   * @param {Relays} relays
   * @param {number} id
   */
  constructor(relays, id) {
    this.#relays = relays;
    this.#id = id;
  }

  /** @param {(outcome: RelayOutcome | null) => void} onDone */
  whenDone(onDone) {
    this.#onDone = onDone;
    if (this.#outcome !== undefined) this.#report(this.#outcome);
  }

  abort() {
    this.#relays.abort(this.#id);
  }

  /** @param {RelayOutcome | null} outcome */
  settle(outcome) {
    this.#outcome = outcome;
    this.#report(outcome);
  }

  /**
   * Calls back after the other events of this turn, like a promise.
   * @param {RelayOutcome | null} outcome
   */
  #report(outcome) {
    const onDone = this.#onDone;
    this.#onDone = undefined;
    if (onDone !== undefined) queueMicrotask(() => onDone(outcome));
  }
}

/**
 * The upstream calls of a hub, which passes on the reactor's events. A running call keeps the process
 * alive. `close()` ends it.
 */
export class Relays {
  #native;
  #reactor;
  #shards;
  /** @type {Map<number, Call>} */
  #calls = new Map();
  /** @type {Map<number, FedCall>} */
  #fedCalls = new Map();
  #closed = false;

  /**
   * @param {any} hub the native one
   * @param {import('../internal/native/reactor.js').Reactor} reactor
   * @param {import('./shards.js').Shards} shards
   */
  constructor(hub, reactor, shards) {
    this.#native = hub;
    this.#reactor = reactor;
    this.#shards = shards;
  }

  /** @param {RelayRequest} request @returns {RelayedCall} */
  start({ url, headers, body, ...target }) {
    return this.#begin(target, (id) => {
      this.#native.relay(id, { url, headers, body }, target);
    });
  }

  /**
   * @param {RelayTarget} target
   * @param {(answer: FedCall) => void} feed
   * @returns {RelayedCall}
   */
  startFed(target, feed) {
    return this.#begin(target, (id) => {
      const fed = new FedCall(this.#native, id, () => this.#reactor.settle());
      this.#fedCalls.set(id, fed);
      this.#native.relayFed(id, target);
      feed(fed);
    });
  }

  /**
   * @param {RelayTarget} target
   * @param {(id: number) => void} start
   * @returns {RelayedCall}
   */
  #begin({ jobs }, start) {
    const id = this.#shards.number(this.#shards.of(jobs[0]));
    const call = new Call(this, id);
    if (this.#closed) {
      call.settle(null);
      return call;
    }
    this.#calls.set(id, call);
    this.#reactor.ref();
    start(id);
    this.#reactor.settle();
    return call;
  }

  /** @param {number} id of a call, which may have ended */
  abort(id) {
    if (this.#closed) return;
    this.#native.abortRelay(id);
    this.#reactor.settle();
  }

  /**
   * @param {number} id
   * @param {RelayOutcome | null} outcome
   */
  onEnd(id, outcome) {
    const call = this.#calls.get(id);
    if (!this.#calls.delete(id)) return;
    this.#reactor.unref();
    call?.settle(outcome);
  }

  /**
   * @param {number} id
   * @param {number} bytes total bytes consumed
   */
  onTaken(id, bytes) {
    this.#fedCalls.get(id)?.onTaken(bytes);
  }

  /** @param {number} id */
  onOver(id) {
    const fed = this.#fedCalls.get(id);
    this.#fedCalls.delete(id);
    fed?.onOver();
  }

  close() {
    this.#closed = true;
    for (const id of [...this.#calls.keys()]) this.onEnd(id, null);
    for (const id of [...this.#fedCalls.keys()]) this.onOver(id);
  }
}
