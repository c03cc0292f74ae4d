/** `/v1/kv`: the caller's keys and values, one by one, page by page, and several at once. */
import { isUtf8 } from 'node:buffer';
import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { checkTxn, mayWrite, runTxn } from './kv-txn.js';
import { isConditional, precondition, tagOf } from './kv-preconditions.js';
import { contentTypeOf, isUtf8Charset, parseJson } from '../middleware/body.js';
import { kTtlSMax } from '../../jobs/request.js';
import { send, sendJson, sendNoContent } from '../respond.js';

/** @typedef {import('../router.js').Context} Context */
/** @typedef {import('../router.js').Handle} Handle */
/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1000;
const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain';
const BYTES_TYPE = 'application/octet-stream';

function keyNotFound() {
  return new HttpError(404, { code: 'key_not_found', param: 'key', message: 'No such key.' });
}

/** @param {number} version that the key has; 0: it is not there */
function preconditionFailed(version) {
  return new HttpError(412, {
    code: 'precondition_failed',
    message: version === 0 ? 'The key is not there.' : `The key has version ${version}.`,
    headers: version === 0 ? undefined : { ETag: tagOf(version) },
  });
}

/**
 * An answer that was decided: how it is told, and what it tells of (see KvSpaces.synced).
 * @typedef {{version?: number, tell: () => void}} Decided
 */

/**
 * @template T
 * @param {() => T} decide
 * @returns {T}
 * @throws {HttpError} what the store refuses, as it is told on the wire
 */
function translated(decide) {
  try {
    return decide();
  } catch (error) {
    const { code, message, version } = /** @type {any} */ (error);
    if (error instanceof HttpError) throw error;
    if (code === 'ERR_CONFLICT') throw preconditionFailed(version ?? 0);
    if (code === 'ERR_KV_FULL') {
      throw new HttpError(507, { code: 'kv_full', type: 'server_error', message, cause: error });
    }
    if (code === 'ERR_INVALID_VALUE' || code === 'ERR_INVALID_TYPE') {
      // The name of what is at fault comes first in each of these messages.
      throw badRequest('invalid_value', message.split(' ', 1)[0], `${message}.`);
    }
    throw error;
  }
}

/**
 * @param {Context['query']} query
 * @param {string} name
 * @returns {string | undefined}
 */
function queryOf(query, name) {
  const { [name]: value } = query;
  if (value === undefined || typeof value === 'string') return value;
  throw badRequest('invalid_value', name, `${name} must be given once.`);
}

/** @param {Context['query']} query */
function ttlMsOf(query) {
  const text = queryOf(query, 'ttl_s');
  if (text === undefined) return undefined;
  const seconds = /^\d{1,10}(\.\d{1,9})?$/.test(text) ? Number(text) : NaN;
  if (seconds > 0 && seconds <= kTtlSMax) return seconds * 1000;
  const message = `ttl_s must be a number of seconds above 0, at most ${kTtlSMax}.`;
  throw badRequest('invalid_value', 'ttl_s', message);
}

/** @param {Context['query']} query */
function limitOf(query) {
  const text = queryOf(query, 'limit') ?? String(LIMIT_DEFAULT);
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw badRequest('invalid_value', 'limit', `limit must be an integer from 1 to ${LIMIT_MAX}.`);
}

/**
 * @param {IncomingMessage} req
 * @param {Buffer} bytes its body
 * @returns {unknown} the value to store, by the body's type
 */
function valueOf(req, bytes) {
  const { type, charset } = contentTypeOf(req);
  if (type === BYTES_TYPE) return new Uint8Array(bytes);
  if (type === JSON_TYPE && isUtf8Charset(charset)) {
    const value = parseJson(bytes);
    if (value !== undefined) return value;
    throw badRequest('invalid_json', null, 'The body is not JSON.');
  }
  if (type === TEXT_TYPE && isUtf8Charset(charset)) {
    if (isUtf8(bytes)) return bytes.toString();
    throw badRequest('invalid_value', null, 'The body is not UTF-8.');
  }
  throw new HttpError(415, {
    code: 'unsupported_media_type',
    message: `The body must be ${JSON_TYPE}, ${TEXT_TYPE} (both UTF-8) or ${BYTES_TYPE}.`,
  });
}

/**
 * @param {ServerResponse} res
 * @param {unknown} value
 */
function sendValue(res, value) {
  // A browser must not take a stored text for a page.
  res.setHeader('X-Content-Type-Options', 'nosniff');
  if (value instanceof Uint8Array) {
    send(res, 200, Buffer.from(value.buffer, value.byteOffset, value.byteLength), BYTES_TYPE);
  } else if (typeof value === 'string') {
    send(res, 200, value, `${TEXT_TYPE}; charset=utf-8`);
  } else {
    sendJson(res, 200, value);
  }
}

/**
 * @param {any} value
 * @returns {{value: unknown, encoding?: 'base64'}} within JSON
 */
function valueToJson(value) {
  if (!(value instanceof Uint8Array)) return { value };
  return { value: Buffer.from(value).toString('base64'), encoding: 'base64' };
}

/**
 * @param {object} deps
 * @param {{spaces: import('../../primitives/kv/namespaces.js').KvSpaces,
 *   area: import('../../primitives/kv/namespaces.js').KvArea}} deps.kv
 * @param {import('../../internal/util/memory-budget.js').MemoryBudget} deps.memory
 * @param {number} deps.valueBytesMax
 * @returns {import('../router.js').Routes}
 */
export function kvRoutes({ kv, memory, valueBytesMax }) {
  /** @param {Context} context */
  const spaceOf = ({ access }) => kv.area.of(access.principal);

  /** @param {Context} context */
  const keyOf = ({ params }) => params['*'] ?? '';

  /** @param {Context} context of a request that adds something */
  const checkRoom = ({ access }) => {
    kv.spaces.checkRoom();
    memory.check('kv', access.principal);
  };

  /**
   * Answers only from the disk, also that a key is missing or has another version: a crash takes nothing
   * back, and no version that was seen comes again for another value.
   * @param {(req: IncomingMessage, res: ServerResponse, context: Context) => Decided} decide
   * @returns {Handle}
   */
  const route = (decide) => async (req, res, context) => {
    /** @type {Decided} */
    let decided;
    try {
      decided = translated(() => decide(req, res, context));
    } catch (error) {
      const { status } = /** @type {any} */ (error);
      if (status === 404 || status === 412) await kv.spaces.synced();
      throw error;
    }
    await kv.spaces.synced(decided.version);
    decided.tell();
  };

  const write = route((req, res, context) => {
    const key = keyOf(context);
    const space = spaceOf(context);
    const value = valueOf(req, context.body);
    const ttlMs = ttlMsOf(context.query);
    const version = space.get(key)?.version ?? 0;
    if (precondition(req, version) !== 'met') throw preconditionFailed(version);
    checkRoom(context);
    const ifVersion = isConditional(req) ? version : undefined;
    const set = space.set(key, /** @type {any} */ (value), { ttlMs, ifVersion });
    const tell = () => {
      res.setHeader('ETag', tagOf(set));
      sendJson(res, version === 0 ? 201 : 200, { key, version: set });
    };
    return { version: set, tell };
  });

  const read = route((req, res, context) => {
    const entry = spaceOf(context).get(keyOf(context));
    const met = precondition(req, entry?.version ?? 0);
    if (met === 'failed') throw preconditionFailed(entry?.version ?? 0);
    if (entry === undefined) throw keyNotFound();
    const { version, value } = entry;
    const expiresAt = kv.spaces.expiryOf(entry);
    const tell = () => {
      res.setHeader('ETag', tagOf(version));
      if (expiresAt !== null) res.setHeader('X-Expires-At', String(expiresAt));
      if (met === 'not_modified') res.writeHead(304).end();
      else sendValue(res, value);
    };
    return { version, tell };
  });

  const remove = route((req, res, context) => {
    const key = keyOf(context);
    const space = spaceOf(context);
    const version = space.get(key)?.version ?? 0;
    if (precondition(req, version) !== 'met') throw preconditionFailed(version);
    if (version === 0) throw keyNotFound();
    kv.spaces.checkRoom();
    const ifVersion = isConditional(req) ? version : undefined;
    if (!space.delete(key, { ifVersion })) throw keyNotFound();
    return { tell: () => sendNoContent(res) };
  });

  const list = route((_req, res, context) => {
    const { query } = context;
    const prefix = queryOf(query, 'prefix') ?? '';
    const cursor = queryOf(query, 'cursor');
    const page = spaceOf(context).scan({ prefix, cursor, limit: limitOf(query) });
    const items = page.items.map(({ key, value, version }) => ({
      key,
      ...valueToJson(value),
      version,
    }));
    return { tell: () => sendJson(res, 200, { items, cursor: page.cursor ?? null }) };
  });

  const txn = route((_req, res, context) => {
    const request = checkTxn(context.body);
    if (mayWrite(request)) checkRoom(context);
    const expiryOf = (/** @type {{expiresAt: number | undefined}} */ entry) =>
      kv.spaces.expiryOf(entry);
    const toJson = (/** @type {import('../../primitives/kv/values.js').KvEntry} */ entry) => ({
      ...valueToJson(entry.value),
      version: entry.version,
      expires_at: expiryOf(entry),
    });
    const answer = runTxn(spaceOf(context), request, toJson, expiryOf);
    return { tell: () => sendJson(res, 200, answer) };
  });

  const ofKey = {
    GET: { handle: read },
    PUT: {
      handle: write,
      body: /** @type {const} */ ('bytes'),
      bodyBytesMax: valueBytesMax,
      resource: 'kv',
    },
    DELETE: { handle: remove },
  };
  /** @param {Handle} handle @returns {Handle} for the key that is named like its path */
  const ofTxn = (handle) => (req, res, context) =>
    handle(req, res, { ...context, params: { '*': 'txn' } });
  return {
    '/v1/kv': { GET: { handle: list } },
    '/v1/kv/': { GET: { handle: list } },
    '/v1/kv/*': ofKey,
    // A transaction is a POST, which no key takes: a key may be called `txn`, too.
    '/v1/kv/txn': {
      GET: { handle: ofTxn(read) },
      PUT: { ...ofKey.PUT, handle: ofTxn(write) },
      DELETE: { handle: ofTxn(remove) },
      POST: { handle: txn, body: 'json', resource: 'kv' },
    },
  };
}
