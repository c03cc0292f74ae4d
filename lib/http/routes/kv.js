/** `/v1/kv`: the caller's keys and values, one by one, page by page, and several at once. */
import { isUtf8 } from 'node:buffer';
import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { checkPatch, checkTxn, mayWrite, runTxn } from './kv-txn.js';
import { isConditional, precondition, tagOf } from './kv-preconditions.js';
import { contentTypeOf, isUtf8Charset, parseJson } from '../middleware/body.js';
import { TTL_S_MAX } from '../../jobs/request.js';
import { send, sendJson, sendNoContent, sendValues } from '../respond.js';
import { streamIterated } from '../sse/iterated-events.js';
import { turnAway } from './streams.js';

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

/** @param {number} version of the key; 0: no such key */
function preconditionFailed(version) {
  return new HttpError(412, {
    code: 'precondition_failed',
    message: version === 0 ? 'The key is not there.' : `The key has version ${version}.`,
    headers: version === 0 ? undefined : { ETag: tagOf(version) },
  });
}

/**
 * A decided response: the function that sends it, and the version it reveals (see
 * KvNamespaces.synced).
 * @typedef {{version?: number, tell: () => void}} Decided
 */

/**
 * @template T
 * @param {() => T} decide
 * @returns {T}
 * @throws {HttpError} the store's refusal as an HTTP error
 */
function translated(decide) {
  try {
    return decide();
  } catch (error) {
    const { code, message, version } = /** @type {any} */ (error);
    if (error instanceof HttpError) throw error;
    if (code === 'ERR_CONFLICT') throw preconditionFailed(version ?? 0);
    if (code === 'ERR_NOT_A_NUMBER') {
      throw new HttpError(409, { code: 'not_a_number', param: 'key', message: `${message}.` });
    }
    if (code === 'ERR_KV_FULL') {
      throw new HttpError(507, { code: 'kv_full', type: 'server_error', message, cause: error });
    }
    if (code === 'ERR_INVALID_VALUE' || code === 'ERR_INVALID_TYPE') {
      // Each of these messages begins with the name of the invalid argument.
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
  if (seconds > 0 && seconds <= TTL_S_MAX) return seconds * 1000;
  const message = `ttl_s must be a number of seconds above 0, at most ${TTL_S_MAX}.`;
  throw badRequest('invalid_value', 'ttl_s', message);
}

/**
 * @param {Context['query']} query
 * @param {string} name
 * @returns {boolean}
 */
function flagOf(query, name) {
  const text = queryOf(query, name) ?? 'false';
  if (text === 'true' || text === 'false') return text === 'true';
  throw badRequest('invalid_value', name, `${name} must be true or false.`);
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
  // A browser must not render a stored text as a page.
  res.setHeader('X-Content-Type-Options', 'nosniff');
  if (value instanceof Uint8Array) {
    send(res, 200, Buffer.from(value.buffer, value.byteOffset, value.byteLength), BYTES_TYPE);
  } else if (typeof value === 'string') {
    send(res, 200, value, `${TEXT_TYPE}; charset=utf-8`);
  } else {
    sendValues(res, 200, value);
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
 * @param {{namespaces: import('../../primitives/kv/namespaces.js').KvNamespaces,
 *   partition: import('../../primitives/kv/namespaces.js').KvPartition}} deps.kv
 * @param {import('../../internal/util/memory-budget.js').MemoryBudget} deps.memory
 * @param {number} deps.valueBytesMax
 * @param {import('../sse/open-streams.js').OpenStreams} deps.open streams of changes
 * @param {{heartbeatMs: number, stallMs: number, reconnectMs: number}} deps.options of streams
 * @returns {import('../router.js').Routes}
 */
export function kvRoutes({ kv, memory, valueBytesMax, open, options }) {
  /** @param {Context} context */
  const namespaceOf = ({ access }) => kv.partition.of(access.principal);

  /** @param {Context} context */
  const keyOf = ({ params }) => params['*'] ?? '';

  /** @param {Context} context of a request that adds data */
  const checkRoom = ({ access }) => {
    kv.namespaces.checkRoom();
    memory.check('kv', access.principal);
  };

  /**
   * Answers only after the state is on the disk, even for a missing key or another version. Thus a
   * crash undoes nothing that a client has seen, and no version is reused for another value.
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
      if (status === 404 || status === 412) await kv.namespaces.synced();
      throw error;
    }
    await kv.namespaces.synced(decided.version);
    decided.tell();
  };

  const write = route((req, res, context) => {
    const key = keyOf(context);
    const namespace = namespaceOf(context);
    const value = valueOf(req, context.body);
    const ttlMs = ttlMsOf(context.query);
    const version = namespace.get(key)?.version ?? 0;
    if (precondition(req, version) !== 'met') throw preconditionFailed(version);
    checkRoom(context);
    const ifVersion = isConditional(req) ? version : undefined;
    const set = namespace.set(key, value, { ttlMs, ifVersion });
    const tell = () => {
      res.setHeader('ETag', tagOf(set));
      sendJson(res, version === 0 ? 201 : 200, { key, version: set });
    };
    return { version: set, tell };
  });

  const read = route((req, res, context) => {
    const entry = namespaceOf(context).get(keyOf(context));
    const met = precondition(req, entry?.version ?? 0);
    if (met === 'failed') throw preconditionFailed(entry?.version ?? 0);
    if (entry === undefined) throw keyNotFound();
    const { version, value } = entry;
    const expiresAt = kv.namespaces.expiryOf(entry);
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
    const namespace = namespaceOf(context);
    const version = namespace.get(key)?.version ?? 0;
    if (precondition(req, version) !== 'met') throw preconditionFailed(version);
    if (version === 0) throw keyNotFound();
    kv.namespaces.checkRoom();
    const ifVersion = isConditional(req) ? version : undefined;
    if (!namespace.delete(key, { ifVersion })) throw keyNotFound();
    return { tell: () => sendNoContent(res) };
  });

  const list = route((_req, res, context) => {
    const { query } = context;
    const prefix = queryOf(query, 'prefix') ?? '';
    const cursor = queryOf(query, 'cursor');
    const [reverse, keysOnly] = [flagOf(query, 'reverse'), flagOf(query, 'keys_only')];
    const asked = { prefix, cursor, limit: limitOf(query), reverse, keysOnly };
    const page = namespaceOf(context).scan(asked);
    const items = page.items.map(({ key, value, version }) => ({
      key,
      ...(!keysOnly && valueToJson(value)),
      version,
    }));
    return { tell: () => sendValues(res, 200, { items, cursor: page.cursor ?? null }) };
  });

  /** @type {Handle} */
  const watch = async (_req, res, context) => {
    const prefix = queryOf(context.query, 'prefix') ?? '';
    const { principal } = context.access;
    if (!kv.namespaces.open || !open.hasRoom(principal)) return turnAway(res);
    res.once('close', open.open(principal));
    const namespace = namespaceOf(context);
    /** @param {AbortSignal} signal */
    const changes = async function* (signal) {
      for await (const change of kv.namespaces.watch(namespace, { prefix, signal })) {
        const { type: event, key, version } = change;
        if (change.type !== 'set') {
          yield { event, data: { key, version } };
          continue;
        }
        const expires_at = kv.namespaces.expiryOf(change);
        yield { event, data: { key, ...valueToJson(change.value), version, expires_at } };
      }
    };
    const { heartbeatMs, stallMs, reconnectMs } = options;
    await streamIterated(res, { events: changes, heartbeatMs, stallMs, reconnectMs });
  };

  /** @type {Handle} */
  const listOrWatch = (req, res, context) =>
    (flagOf(context.query, 'watch') ? watch : list)(req, res, context);

  const change = route((req, res, context) => {
    const key = keyOf(context);
    const namespace = namespaceOf(context);
    const { increment, ttl_s: ttlS } = checkPatch(context.body);
    const version = namespace.get(key)?.version ?? 0;
    if (precondition(req, version) !== 'met') throw preconditionFailed(version);
    if (increment === undefined && version === 0) throw keyNotFound();
    checkRoom(context);
    const ttlMs = ttlS == null ? undefined : ttlS * 1000;
    const { value, version: set } = namespace.change(key, { increment, ttlMs });
    const entry = namespace.get(key);
    const expires_at = entry === undefined ? null : kv.namespaces.expiryOf(entry);
    const tell = () => {
      res.setHeader('ETag', tagOf(set));
      sendValues(res, version === 0 ? 201 : 200, { key, value, version: set, expires_at });
    };
    return { version: set, tell };
  });

  const txn = route((_req, res, context) => {
    const request = checkTxn(context.body);
    if (mayWrite(request)) checkRoom(context);
    const expiryOf = (/** @type {{expiresAt: number | undefined}} */ entry) =>
      kv.namespaces.expiryOf(entry);
    const toJson = (/** @type {import('../../primitives/kv/values.js').KvEntry} */ entry) => ({
      ...valueToJson(entry.value),
      version: entry.version,
      expires_at: expiryOf(entry),
    });
    const answer = runTxn(namespaceOf(context), request, toJson, expiryOf);
    return { tell: () => sendValues(res, 200, answer) };
  });

  const ofKey = {
    GET: { handle: read },
    PUT: {
      handle: write,
      body: /** @type {const} */ ('bytes'),
      bodyBytesMax: valueBytesMax,
      resource: 'kv',
    },
    PATCH: { handle: change, body: /** @type {const} */ ('json'), resource: 'kv' },
    DELETE: { handle: remove, audit: { action: 'kv.delete', erases: true } },
  };
  /** @param {Handle} handle @returns {Handle} for the key of the same name as its path */
  const ofTxn = (handle) => (req, res, context) =>
    handle(req, res, { ...context, params: { '*': 'txn' } });
  return {
    '/v1/kv': { GET: { handle: listOrWatch } },
    '/v1/kv/': { GET: { handle: listOrWatch } },
    '/v1/kv/*': ofKey,
    // A transaction is a POST, a method that keys do not have, so a key may also be named `txn`.
    '/v1/kv/txn': {
      GET: { handle: ofTxn(read) },
      PUT: { ...ofKey.PUT, handle: ofTxn(write) },
      PATCH: { ...ofKey.PATCH, handle: ofTxn(change) },
      DELETE: { ...ofKey.DELETE, handle: ofTxn(remove) },
      POST: { handle: txn, body: 'json', resource: 'kv' },
    },
  };
}
