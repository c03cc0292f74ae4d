import { FedCall } from './fed-call.js';
import { PendingResults } from './pending-results.js';

/** @typedef {import('../internal/native/relay-types.js').RelayOutcome} RelayOutcome */
/** @typedef {import('../internal/native/relay-types.js').RelayRequest} RelayRequest */
/** @typedef {import('../internal/native/relay-types.js').RelayTarget} RelayTarget */
/** @typedef {import('../internal/native/relay-types.js').RelayedCall} RelayedCall */

/** The upstream calls of a hub, which passes on the reactor's events. `close()` ends it. */
export class Relays {
  #native;
  #reactor;
  #shards;
  /** @type {PendingResults<RelayOutcome>} */
  #outcomes;
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
    this.#outcomes = new PendingResults(reactor);
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
    if (this.#closed) return { done: Promise.resolve(null), abort: () => {} };
    const id = this.#shards.number(this.#shards.of(jobs[0]));
    const done = this.#outcomes.add(id);
    start(id);
    this.#reactor.settle();
    const abort = () => {
      this.#native.abortRelay(id);
      this.#reactor.settle();
    };
    return { done, abort };
  }

  /**
   * @param {number} id
   * @param {RelayOutcome} outcome
   */
  onEnd(id, outcome) {
    this.#outcomes.settle(id, outcome);
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
    this.#outcomes.close();
    for (const id of [...this.#fedCalls.keys()]) this.onOver(id);
  }
}
