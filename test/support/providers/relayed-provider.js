/**
 * The OpenAI provider with the interface of one that yields text: the entries of the jobs' logs are
 * read back as the provider's items, one by one. For both clients.
 */
import { JobHub } from '../../../lib/streams/hub.js';
import { openai } from '../../../lib/providers/openai/provider.js';
import { hubOptions } from '../streams/hub-options.js';
import { sharedReactor } from '../../../lib/internal/native/reactor.js';

// The hub's estimate for an upstream without usage.
const NOT_COUNTED = 987_654_321;

/** The items of one call to the provider, as an iterator. */
class Items {
  #provider;
  #hub;
  #requests;
  #signals;
  /** @type {number[]} */
  #handles = [];
  #open = new Set();
  #queue = [];
  #taken;
  #wake = () => {};
  #started = false;
  #over = false;
  #thrown;
  /** @type {Map<number, Error>} */
  #errors = new Map();

  constructor(provider, hub, requests, signals) {
    this.#provider = provider;
    this.#hub = hub;
    this.#requests = requests;
    this.#signals = signals;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    // A reader that has not called next() is still processing its last value.
    this.#taken?.subscriber.acknowledge();
    this.#taken = undefined;
    if (!this.#started) this.#start();
    for (;;) {
      if (this.#thrown !== undefined) {
        const { reason } = this.#thrown;
        this.#stop();
        throw reason;
      }
      const entry = this.#over ? undefined : this.#queue.shift();
      if (entry !== undefined) {
        this.#taken = entry.subscriber && entry;
        return { done: false, value: entry.item };
      }
      if (this.#over || this.#open.size === 0) return { done: true, value: undefined };
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }

  async return() {
    this.#started = true;
    this.#stop();
    return { done: true, value: undefined };
  }

  #stop() {
    this.#over = true;
    this.#thrown = undefined;
    for (const handle of this.#handles) {
      this.#hub.finish(handle, { type: 'cancelled', reason: 'client_request' });
    }
    this.#wake();
  }

  #start() {
    this.#started = true;
    for (const signal of this.#signals) {
      const abort = () => {
        this.#thrown = { reason: signal.reason };
        for (const handle of this.#handles) {
          this.#hub.finish(handle, { type: 'cancelled', reason: 'client_request' });
        }
        this.#wake();
      };
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort);
    }
    if (this.#thrown !== undefined) return;
    this.#handles = this.#requests.map((request, index) => this.#createJob(request, index));
    this.#provider.relay(this.#requests, {
      hub: this.#hub,
      handles: this.#handles,
      onError: (index, error) => {
        // It follows the text already on its way to the reader.
        this.#errors.set(index, error);
        const { message, wireCode: code, type } = error;
        this.#hub.finish(this.#handles[index], { type: 'error', error: { message, code, type } });
      },
    });
  }

  #createJob({ id, signal }, index) {
    const handle = this.#hub.create({
      jobId: id,
      onDisconnect: 'continue',
      disconnectGraceMs: 0,
      maxWallMs: 1e9,
      promptTokens: NOT_COUNTED,
    });
    this.#hub.start(handle);
    this.#open.add(index);
    const subscriber = this.#hub.openStream([{ handle, cursor: '' }], {
      onOpen: () => {},
      onEvents: (events) => {
        for (let i = 0; i < events.length; i += 3) {
          this.#take(index, events[i + 1], JSON.parse(events[i + 2]), subscriber);
        }
        this.#wake();
      },
      onEnd: () => {},
    });
    signal?.addEventListener('abort', () => {
      this.#hub.finish(handle, { type: 'cancelled', reason: 'client_request' });
      this.#queue = this.#queue.filter(({ item }) => item.index !== index);
      this.#open.delete(index);
      this.#wake();
    });
    return handle;
  }

  #take(index, type, { token, reason, usage }, subscriber) {
    if (!this.#open.has(index)) return;
    if (type === 'token') {
      this.#queue.push({ item: { index, text: token }, subscriber });
      return;
    }
    this.#open.delete(index);
    const counted = usage?.prompt_tokens === NOT_COUNTED ? {} : { usage };
    if (type === 'job_complete') this.#queue.push({ item: { index, end: { reason, ...counted } } });
    if (type === 'job_error') this.#queue.push({ item: { index, error: this.#errors.get(index) } });
  }
}

/**
 * @param {import('../../../lib/providers/openai/provider.js').OpenAiOptions} options
 * @returns its `close` is the provider's, `dispose` ends the hub as well
 */
export function relayedProvider(options) {
  const provider = openai({ client: 'native', ...options });
  // The hub is at most one token ahead of its reader, as with a generator.
  const hub = new JobHub({
    ...hubOptions,
    reactors: [sharedReactor()],
    streamCapacity: 1,
    stallMs: 1e9,
  });
  const { name, models, takesBatches, enforcesMaxTokens } = provider;
  return {
    ...{ name, models, takesBatches, enforcesMaxTokens },
    generateBatch(requests, { signal } = {}) {
      return new Items(provider, hub, requests, [signal]);
    },
    generate({ signal: ownSignal, ...request }, { signal } = {}) {
      const items = new Items(provider, hub, [request], [signal, ownSignal]);
      const unwrap = ({ done, value }) => {
        if (done || value.end !== undefined) return { done: true, value: value?.end };
        if (value.error !== undefined) throw value.error;
        return { done: false, value: value.text };
      };
      return {
        next: () => items.next().then(unwrap),
        return: () => items.return(),
        [Symbol.asyncIterator]() {
          return this;
        },
      };
    },
    close: () => provider.close(),
    dispose: () => hub.close(),
    relay: (/** @type {any} */ requests, /** @type {any} */ to) => provider.relay(requests, to),
  };
}
