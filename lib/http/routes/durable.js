/** `/v1/durable/{path}`: streams of the Durable Streams protocol. */
import { HttpError } from '../../internal/util/http-error.js';
import { DurableFrames, streamDurable } from '../sse/durable-events.js';
import { appendOf, readQueryOf, settingsOf } from './durable-requests.js';
import { bodyOf } from '../../services/durable/content.js';
import { formatOffset, nextCursor } from '../../services/durable/offsets.js';
import { send, sendNoContent, setHeaders } from '../respond.js';

/** @typedef {import('../router.js').Context} Context */
/** @typedef {import('../router.js').Handle} Handle */
/** @typedef {import('../../services/durable/head.js').Head} Head */
/** @typedef {import('../../services/durable/port.js').Read} Read */
/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/** A browser must not guess a type or render stored content as a page of this origin. */
const SAFE_HEADERS = Object.freeze({
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': "default-src 'none'; sandbox",
});
/** Catch-up reads may be cached, and are revalidated by their ETag at each use. */
const REVALIDATED = 'private, no-cache';

/** @param {Context} context */
const pathOf = ({ params }) => params['*'] ?? '';

/**
 * @param {Head} head
 * @returns {Record<string, string>} position of the end
 */
function tailHeaders({ space, tail, closed }) {
  return {
    'Stream-Next-Offset': formatOffset(space, tail),
    ...(closed && { 'Stream-Closed': 'true' }),
  };
}

/**
 * @param {Read} read
 * @returns {Record<string, string>}
 */
function readHeaders({ head, to, upToDate, closed }) {
  return {
    'Stream-Next-Offset': formatOffset(head.space, to),
    ...(upToDate && { 'Stream-Up-To-Date': 'true' }),
    ...(closed && { 'Stream-Closed': 'true' }),
  };
}

/**
 * @param {Read} read
 * @returns {string}
 */
function tagOf({ head, from, to, closed }) {
  return `"${head.id}:${from}:${to}${closed ? ':c' : ''}"`;
}

/**
 * @param {IncomingMessage} req
 * @param {string} tag
 * @returns {boolean} whether the client already has this answer
 */
function hasAnswer({ headers }, tag) {
  const tags = headers['if-none-match']?.split(',').map((each) => each.trim().replace(/^W\//, ''));
  return tags !== undefined && (tags.includes(tag) || tags.includes('*'));
}

/**
 * @param {IncomingMessage} req
 * @param {Context} context
 * @returns {string} URL of the stream, for the client
 */
function locationOf({ headers, socket }, context) {
  const path = pathOf(context).split('/').map(encodeURIComponent).join('/');
  const first = (/** @type {unknown} */ value) =>
    String(value ?? '')
      .split(',', 1)[0]
      .trim();
  const host = first(headers['x-forwarded-host'] ?? headers.host ?? headers[':authority']);
  const secure = /** @type {any} */ (socket)?.encrypted === true;
  const forwarded = first(headers['x-forwarded-proto']);
  const scheme = /^https?$/.test(forwarded) ? forwarded : secure ? 'https' : 'http';
  const local = `${context.baseUrl}/v1/durable/${path}`;
  return URL.canParse(`${scheme}://${host}`) ? `${scheme}://${host}${local}` : local;
}

/** @returns {HttpError} 503 while the maximum number of readers is reached */
function tooManyReaders() {
  return new HttpError(503, {
    code: 'overloaded',
    message: 'The maximum number of open streams is reached; try again later.',
    headers: { 'Retry-After': '5' },
  });
}

/**
 * @param {object} deps
 * @param {import('../../services/durable/port.js').DurablePort} deps.durable
 * @param {import('../sse/open-streams.js').OpenStreams} deps.open
 * @param {() => number} deps.unixMs
 * @param {{heartbeatMs: number, stallMs: number, durable: {maxAppendBytes: number, longPollMs: number,
 *   sseMs: number}}} deps.options
 * @returns {import('../router.js').Routes}
 */
export function durableRoutes({ durable, open, unixMs, options }) {
  const { maxAppendBytes, longPollMs, sseMs } = options.durable;

  /**
   * Counts a response among the open streams until it ends.
   * @param {ServerResponse} res
   * @param {Context} context
   */
  function admit(res, { access: { principal } }) {
    if (!open.hasRoom(principal)) throw tooManyReaders();
    res.once('close', open.open(principal));
  }

  /** @type {Handle} */
  async function create(req, res, context) {
    const settings = settingsOf(req, context.baseUrl);
    const { principal } = context.access;
    const made = await durable.create(principal, pathOf(context), settings, context.body);
    const { head, created } = made;
    setHeaders(res, { 'Content-Type': head.type, ...tailHeaders(head) });
    if (created) res.setHeader('Location', locationOf(req, context));
    res.writeHead(created ? 201 : 200).end();
  }

  /** @type {Handle} */
  async function append(req, res, context) {
    const given = appendOf(req, context.body);
    const { producer, body } = given;
    const done = await durable.append(context.access.principal, pathOf(context), given);
    const { head, repeated, producerSeq } = done;
    setHeaders(res, tailHeaders(head));
    if (producer !== undefined) {
      res.setHeader('Producer-Epoch', String(producer.epoch));
      res.setHeader('Producer-Seq', String(producerSeq));
    }
    const fresh = producer !== undefined && !repeated && body.length > 0;
    res.writeHead(fresh ? 200 : 204).end();
  }

  /** @type {Handle} */
  async function remove(_req, res, context) {
    await durable.delete(context.access.principal, pathOf(context));
    sendNoContent(res);
  }

  /** @type {Handle} */
  async function describe(_req, res, context) {
    const head = await durable.head(context.access.principal, pathOf(context));
    const { type, ttlMs, expiresMs, asked, tail: to, closed } = head;
    setHeaders(res, { 'Content-Type': type, ...tailHeaders(head) });
    if (ttlMs !== null) res.setHeader('Stream-TTL', String(Math.ceil(ttlMs / 1000)));
    if (expiresMs !== null) {
      res.setHeader('Stream-Expires-At', asked.expiresAt ?? new Date(expiresMs).toISOString());
    }
    res.setHeader('ETag', tagOf({ head, chunks: [], from: 0, to, upToDate: true, closed }));
    res.end();
  }

  /**
   * @param {ServerResponse} res
   * @param {Read} read
   */
  function sendRead(res, read) {
    send(res, 200, bodyOf(read.head.type, read.chunks), read.head.type);
  }

  /**
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @param {Read} read
   * @param {string} offset
   */
  function catchUp(req, res, read, offset) {
    setHeaders(res, readHeaders(read));
    if (offset === 'now') {
      sendRead(res, read);
      return;
    }
    const tag = tagOf(read);
    setHeaders(res, { ETag: tag, 'Cache-Control': REVALIDATED });
    if (hasAnswer(req, tag)) res.writeHead(304).end();
    else sendRead(res, read);
  }

  /**
   * @param {ServerResponse} res
   * @param {Context} context
   * @param {Read} first
   * @param {string | undefined} cursor
   */
  async function longPoll(res, context, first, cursor) {
    let read = first;
    if (read.chunks.length === 0 && !read.closed) {
      admit(res, context);
      const ends = new AbortController();
      const timer = setTimeout(() => ends.abort(), longPollMs);
      res.once('close', () => ends.abort());
      try {
        const { principal } = context.access;
        read = await durable.next(principal, pathOf(context), first, ends.signal);
      } finally {
        clearTimeout(timer);
      }
      if (res.closed) return;
    }
    setHeaders(res, { ...readHeaders(read), 'Stream-Cursor': nextCursor(cursor, unixMs()) });
    if (read.chunks.length === 0) {
      sendNoContent(res);
      return;
    }
    res.setHeader('ETag', tagOf(read));
    sendRead(res, read);
  }

  /**
   * @param {ServerResponse} res
   * @param {Context} context
   * @param {Read} first
   * @param {string | undefined} cursor
   */
  async function events(res, context, first, cursor) {
    admit(res, context);
    const frames = new DurableFrames(first.head.type, () => nextCursor(cursor, unixMs()));
    setHeaders(res, frames.headers);
    const { heartbeatMs, stallMs } = options;
    const { principal } = context.access;
    const reads = (/** @type {AbortSignal} */ signal) =>
      durable.follow(principal, pathOf(context), first, signal);
    await streamDurable(res, { frames, reads, lifeMs: sseMs, heartbeatMs, stallMs });
  }

  /** @type {Handle} */
  async function answerRead(req, res, context) {
    if (req.method === 'HEAD') {
      await describe(req, res, context);
      return;
    }
    const { offset, live, cursor } = readQueryOf(context.query);
    const first = await durable.read(context.access.principal, pathOf(context), offset);
    if (live === 'sse') await events(res, context, first, cursor);
    else if (live === 'long-poll') await longPoll(res, context, first, cursor);
    else catchUp(req, res, first, offset);
  }

  /** @param {Handle} handle @returns {Handle} */
  const safe = (handle) => (req, res, context) => {
    setHeaders(res, SAFE_HEADERS);
    return handle(req, res, context);
  };
  const written = /** @type {const} */ ({
    body: 'bytes',
    bodyBytesMax: maxAppendBytes,
    resource: 'durable',
  });
  return {
    '/v1/durable/*': {
      GET: { handle: safe(answerRead) },
      PUT: { handle: safe(create), ...written },
      POST: { handle: safe(append), ...written },
      DELETE: { handle: safe(remove), audit: { action: 'durable.delete', erases: true } },
    },
  };
}
