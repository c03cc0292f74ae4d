/**
 * A stream of server-sent events with a key in its header, which an EventSource cannot send. It reconnects
 * after a cut, and starts over: the streams of the dashboard begin with all current data.
 */
import { backoffMs, sleep } from '../client/http.js';

/**
 * Splits a stream into its events.
 * @param {AsyncIterable<string>} chunks
 * @returns {AsyncGenerator<{type: string, data: string}>}
 */
export async function* eventsOf(chunks) {
  let rest = '';
  let type = 'message';
  /** @type {string[]} */
  let data = [];
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { type, data: data.join('\n') };
        type = 'message';
        data = [];
        continue;
      }
      const colon = line.indexOf(':');
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'event') type = value;
      if (field === 'data') data.push(value);
    }
  }
}

/** @param {ReadableStream<Uint8Array>} body @returns {AsyncGenerator<string>} */
async function* textOf(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield decoder.decode(value, { stream: true });
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @typedef {'connecting' | 'live' | 'reconnecting' | 'closed'} FeedState */

/** One stream. Ends with `close()`, by a refusal, or, if `once` is set, at its last event. */
export class Feed {
  #abort = new AbortController();

  /**
   * @param {string} path
   * @param {object} on
   * @param {() => string | null} on.key
   * @param {(type: string, data: any) => void} on.event
   * @param {(state: FeedState) => void} [on.state]
   * @param {(status: number, message: string) => void} [on.refused]
   * @param {boolean} [on.once] whether the end of the stream is final; default false
   */
  constructor(path, on) {
    void this.#run(path, on);
  }

  close() {
    this.#abort.abort();
  }

  /**
   * @param {string} path
   * @param {ConstructorParameters<typeof Feed>[1]} on
   */
  async #run(path, on) {
    const { signal } = this.#abort;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      on.state?.(attempt === 0 ? 'connecting' : 'reconnecting');
      try {
        if (attempt > 0) await sleep(backoffMs(attempt - 1), signal);
        const response = await fetch(path, { signal, headers: headersOf(on.key()) });
        if (response.status >= 400 && response.status < 500) {
          const { error } = await response.json().catch(() => ({}));
          on.refused?.(response.status, error?.message ?? `HTTP ${response.status}`);
          break;
        }
        if (!response.ok || response.body === null) continue;
        for await (const { type, data } of eventsOf(textOf(response.body))) {
          if (signal.aborted) return;
          if (attempt >= 0) on.state?.('live');
          attempt = -1;
          on.event(type, JSON.parse(data));
        }
        if (on.once && attempt === -1) break;
        attempt = Math.max(attempt, 0);
      } catch {
        // The stream was cut or closed; the loop distinguishes them.
        attempt = Math.max(attempt, 0);
      }
    }
    if (!signal.aborted) on.state?.('closed');
  }
}

/** @param {string | null} key @returns {Record<string, string>} */
function headersOf(key) {
  return {
    accept: 'text/event-stream',
    ...(key !== null && { authorization: `Bearer ${key}` }),
  };
}
