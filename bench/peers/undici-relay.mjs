/**
 * A relay tuned by hand: undici's dispatch without body streams, eventsource-parser, `res.write`.
 */
import { createServer } from 'node:http';
import { createParser } from 'eventsource-parser';
import { Pool } from 'undici';
import {
  chatPath,
  chatRequest,
  frameOf,
  serve,
  streamHeaders,
  upstreamUrl,
} from '../lib/server-settings.mjs';

const upstream = new Pool(upstreamUrl, { connections: null, bodyTimeout: 0, headersTimeout: 0 });
const body = JSON.stringify(chatRequest);

/** @typedef {import('undici').Dispatcher.DispatchHandler} Handler */

/**
 * Relays one answer.
 * @implements {Handler}
 */
class Relay {
  #res;
  #seq = 0;
  #decoder = new TextDecoder();
  #parser = createParser({ onEvent: ({ data }) => this.#onEvent(data) });
  /** @type {import('undici').Dispatcher.DispatchController | undefined} */
  #controller;

  /** @param {import('node:http').ServerResponse} res */
  constructor(res) {
    this.#res = res;
    res.on('close', () => this.#controller?.abort(new Error('the client has left')));
    res.on('drain', () => this.#controller?.resume());
  }

  /** @param {string} data */
  #onEvent(data) {
    if (data === '[DONE]') return;
    const text = JSON.parse(data).choices[0]?.delta?.content;
    if (!text) return;
    this.#seq += 1;
    if (!this.#res.write(frameOf(text, this.#seq))) this.#controller?.pause();
  }

  /** @param {import('undici').Dispatcher.DispatchController} controller */
  onRequestStart(controller) {
    this.#controller = controller;
  }

  onResponseStart() {}

  /** @param {unknown} _controller @param {Buffer} chunk */
  onResponseData(_controller, chunk) {
    this.#parser.feed(this.#decoder.decode(chunk, { stream: true }));
  }

  onResponseEnd() {
    this.#res.end();
  }

  onResponseError() {
    this.#res.destroy();
  }
}

serve(
  createServer((_req, res) => {
    res.writeHead(200, streamHeaders);
    res.flushHeaders();
    const headers = { 'content-type': 'application/json', accept: 'text/event-stream' };
    upstream.dispatch({ method: 'POST', path: chatPath, headers, body }, new Relay(res));
  }),
);
