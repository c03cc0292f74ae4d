/**
 * The events of a workflow in the browser. The EventSource reconnects after a cut; after a refusal the
 * class opens a new one with a newly signed URL. The terminal event or `close()` ends it.
 */

import { backoffMs } from '../../client/http.js';

const TYPES = [
  'token',
  'node_started',
  'node_progress',
  'node_retry',
  'node_complete',
  'node_failed',
  'node_skipped',
  'page',
  'page_skipped',
  'page_error',
  'workflow_retry',
  'gap',
];
const TERMINAL = ['workflow_complete', 'workflow_failed', 'workflow_cancelled'];
const ATTEMPTS_MAX = 20;

/** The stream of one workflow. */
export class WorkflowStream {
  #http;
  #id;
  #on;
  /** @type {EventSource | undefined} */
  #source;
  #lastEventId = '';
  #attempts = 0;
  #closed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {import('../../client/http.js').Http} http
   * @param {string} id
   * @param {{event: (type: string, data: any) => void, end: () => void,
   *   lost: (error: unknown) => void}} on `end`: called after the terminal event; `lost`: called when
   *   all attempts to connect have failed
   */
  constructor(http, id, on) {
    this.#http = http;
    this.#id = id;
    this.#on = on;
    void this.#open();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  async #open() {
    let url;
    try {
      const answer = await this.#http.call('POST', `/v1/workflows/${this.#id}/stream_url`);
      url = new URL(answer.stream_url, location.href);
    } catch (error) {
      this.#retry(error);
      return;
    }
    if (this.#closed) return;
    if (this.#lastEventId !== '') url.searchParams.set('last_event_id', this.#lastEventId);
    const source = new EventSource(url);
    this.#source = source;
    for (const type of [...TYPES, ...TERMINAL]) {
      source.addEventListener(type, (event) => this.#receive(type, /** @type {any} */ (event)));
    }
    source.addEventListener('open', () => (this.#attempts = 0));
    source.addEventListener('error', () => {
      // In the states open and connecting the EventSource reconnects automatically.
      if (source.readyState === EventSource.CLOSED) this.#retry(new Error('refused'));
    });
  }

  /** @param {unknown} error */
  #retry(error) {
    if (this.#closed) return;
    this.#attempts += 1;
    if (this.#attempts > ATTEMPTS_MAX) {
      this.close();
      this.#on.lost(error);
      return;
    }
    this.#timer = setTimeout(() => void this.#open(), backoffMs(this.#attempts - 1));
  }

  /** @param {string} type @param {MessageEvent} event */
  #receive(type, event) {
    if (this.#closed) return;
    if (event.lastEventId !== '') this.#lastEventId = event.lastEventId;
    this.#on.event(type, JSON.parse(event.data));
    if (!TERMINAL.includes(type)) return;
    this.close();
    this.#on.end();
  }
}
