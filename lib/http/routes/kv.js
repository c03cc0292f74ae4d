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
/** Number of retries of a conditional change whose key has changed meanwhile. */
const CONFLICTS_MAX = 100;
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
    message: version === 0 ? 'The key does not exist.' : `The key has version ${version}.`,
    headers: version === 0 ? undefined : { ETag: tagOf(version) },
  });
}

function conflict() {
  const message = 'Other requests change the same keys all the time; try again later.';
  return new HttpError(409, { code: 'conflict', message });
}

/**
 * A decided response: the function that sends it, and the version it reveals (see
 * KvPort.synced).
 * @typedef {{version?: number, tell: () => void}} Decided
 */

/**
 * @template T
 * @param {() => Promise<T>} decide
 * @returns {Promise<T>}
 * @throws {HttpError} the store's refusal as an HTTP error
 */
async function translated(decide) {
  try {
    return await decide();
  } catch (error) {
    const { code, message, version } = /** @type {any} */ (error);
    if (error instanceof HttpError) throw error;
    if (code === 'ERR_CONFLICT' && version === undefined) throw conflict();
    if (code === 'ERR_CONFLICT') throw preconditionFailed(version);
    if (code === 'ERR_NOT_A_NUMBER') {
      throw new HttpError(409, { code: 'not_a_number', param: 'key', message: `${message}.` });
    }
    if (code === 'ERR_KV_FULL') {
      throw new HttpError(507, { code: 'kv_full', type: 'server_error', message, cause: error });
    }
    if (code === 'ERR_INVALID_VALUE' || code === 'ERR_INVALID_TYPE') {
      // These messages begin with the name of the invalid argument.
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
  // A browser must not render stored text as a page.
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
 * @returns {{value: unknown, encoding?: 'base64'}} representation within JSON
 */
function valueToJson(value) {
  if (!(value instanceof Uint8Array)) return { value };
  return { value: Buffer.from(value).toString('base64'), encoding: 'base64' };
}

/**
 * Makes a change under the preconditions of its request: retries if the key has changed in between.
 * @template T
 * @param {IncomingMessage} req
 * @param {() => number | Promise<number>} versionOf the key
 * @param {(ifVersion: number | undefined) => T | Promise<T>} change that obeys the condition
 * @returns {Promise<T>}
 * @throws {HttpError} 412
 */
async function conditionally(req, versionOf, change) {
  if (!isConditional(req)) return change(undefined);
  for (let left = CONFLICTS_MAX; ; left -= 1) {
    const version = await versionOf();
    if (precondition(req, version) !== 'met') throw preconditionFailed(version);
    try {
      return await change(version);
    } catch (error) {
      if (left === 0 || /** @type {any} */ (error)?.code !== 'ERR_CONFLICT') throw error;
    }
  }
}

/**
 * @param {object} deps
 * @param {import('../../primitives/kv/port.js').KvPort} deps.kv
 * @param {number} deps.valueBytesMax
 * @param {import('../sse/open-streams.js').OpenStreams} deps.open streams of changes
 * @param {{heartbeatMs: number, stallMs: number, reconnectMs: number}} deps.options of streams
 * @returns {import('../router.js').Routes}
 */
export function kvRoutes({ kv, valueBytesMax, open, options }) {
  /** @param {Context} context */
  const spaceOf = ({ access }) => kv.of(access.principal);

  /** @param {Context} context */
  const keyOf = ({ params }) => params['*'] ?? '';

  /** @param {Context} context of a request that adds data */
  const checkRoom = ({ access }) => kv.checkRoom(access.principal);

  /**
   * Answers only after the state is on the disk, even for a missing key or another version. So a
   * crash never undoes a state that a client has seen, and no version is reused for another value.
   * @param {(req: IncomingMessage, res: ServerResponse, context: Context) => Promise<Decided>} decide
   * @returns {Handle}
   */
  const route = (decide) => async (req, res, context) => {
    /** @type {Decided} */
    let decided;
    try {
      decided = await translated(() => decide(req, res, context));
    } catch (error) {
      const { status } = /** @type {any} */ (error);
      if (status === 404 || status === 412) await kv.synced();
      throw error;
    }
    await kv.synced(decided.version);
    decided.tell();
  };

  const write = route(async (req, res, context) => {
    const key = keyOf(context);
    const space = spaceOf(context);
    const value = valueOf(req, context.body);
    const ttlMs = ttlMsOf(context.query);
    const versionOf = () => space.versionOf(key);
    const { version, previous } = await conditionally(req, versionOf, (ifVersion) => {
      checkRoom(context);
      return space.put(key, value, { ttlMs, ifVersion });
    });
    const tell = () => {
      res.setHeader('ETag', tagOf(version));
      sendJson(res, previous === 0 ? 201 : 200, { key, version });
    };
    return { version, tell };
  });

  const read = route(async (req, res, context) => {
    const entry = await spaceOf(context).get(keyOf(context));
    const met = precondition(req, entry?.version ?? 0);
    if (met === 'failed') throw preconditionFailed(entry?.version ?? 0);
    if (entry === undefined) throw keyNotFound();
    const { version, value } = entry;
    const expiresAt = kv.expiryOf(entry);
    const tell = () => {
      res.setHeader('ETag', tagOf(version));
      if (expiresAt !== null) res.setHeader('X-Expires-At', String(expiresAt));
      if (met === 'not_modified') res.writeHead(304).end();
      else sendValue(res, value);
    };
    return { version, tell };
  });

  const remove = route(async (req, res, context) => {
    const key = keyOf(context);
    const space = spaceOf(context);
    const versionOf = () => space.versionOf(key);
    const deleted = await conditionally(req, versionOf, async (ifVersion) => {
      if ((ifVersion ?? (await versionOf())) === 0) throw keyNotFound();
      kv.checkWritable();
      return space.delete(key, { ifVersion });
    });
    if (!deleted) throw keyNotFound();
    return { tell: () => sendNoContent(res) };
  });

  const list = route(async (_req, res, context) => {
    const { query } = context;
    const prefix = queryOf(query, 'prefix') ?? '';
    const cursor = queryOf(query, 'cursor');
    const [reverse, keysOnly] = [flagOf(query, 'reverse'), flagOf(query, 'keys_only')];
    const asked = { prefix, cursor, limit: limitOf(query), reverse, keysOnly };
    const page = await spaceOf(context).scan(asked);
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
    if (!kv.open || !open.hasRoom(principal)) return turnAway(res);
    res.once('close', open.open(principal));
    const space = spaceOf(context);
    /** @param {AbortSignal} signal */
    const changes = (signal) => eventsOf(kv.watch(space, { prefix, signal }));
    const { heartbeatMs, stallMs, reconnectMs } = options;
    const ready = () => kv.watching();
    await streamIterated(res, { events: changes, ready, heartbeatMs, stallMs, reconnectMs });
  };

  /** @param {AsyncIterable<import('../../primitives/kv/watch.js').KvChange<any>>} changes */
  async function* eventsOf(changes) {
    for await (const change of changes) {
      const { type: event, key, version } = change;
      if (change.type !== 'set') {
        yield { event, data: { key, version } };
        continue;
      }
      const expires_at = kv.expiryOf(change);
      yield { event, data: { key, ...valueToJson(change.value), version, expires_at } };
    }
  }

  /** @type {Handle} */
  const listOrWatch = (req, res, context) =>
    (flagOf(context.query, 'watch') ? watch : list)(req, res, context);

  const change = route(async (req, res, context) => {
    const key = keyOf(context);
    const space = spaceOf(context);
    const { increment, ttl_s: ttlS } = checkPatch(context.body);
    const ttlMs = ttlS == null ? undefined : ttlS * 1000;
    const versionOf = () => space.versionOf(key);
    const changed = await conditionally(req, versionOf, async (ifVersion) => {
      if (increment === undefined && (ifVersion ?? (await versionOf())) === 0) throw keyNotFound();
      checkRoom(context);
      return space.change(key, { increment, ttlMs, ifVersion });
    });
    const { value, version, previous } = changed;
    if (version === 0) throw keyNotFound();
    const expires_at = kv.expiryOf(changed);
    const tell = () => {
      res.setHeader('ETag', tagOf(version));
      sendValues(res, previous === 0 ? 201 : 200, { key, value, version, expires_at });
    };
    return { version, tell };
  });

  const txn = route(async (_req, res, context) => {
    const request = checkTxn(context.body);
    if (mayWrite(request)) checkRoom(context);
    const toJson = (/** @type {import('../../primitives/kv/values.js').KvEntry} */ entry) => ({
      ...valueToJson(entry.value),
      version: entry.version,
      expires_at: kv.expiryOf(entry),
    });
    const answer = await runTxn(spaceOf(context), request, toJson, (entry) => kv.expiryOf(entry));
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
  /** @param {Handle} handle @returns {Handle} the handler for the key with the same name as its path */
  const ofTxn = (handle) => (req, res, context) =>
    handle(req, res, { ...context, params: { '*': 'txn' } });
  return {
    '/v1/kv': { GET: { handle: listOrWatch } },
    '/v1/kv/': { GET: { handle: listOrWatch } },
    '/v1/kv/*': ofKey,
    // A transaction is a POST, which keys do not support, so a key may also be named `txn`.
    '/v1/kv/txn': {
      GET: { handle: ofTxn(read) },
      PUT: { ...ofKey.PUT, handle: ofTxn(write) },
      PATCH: { ...ofKey.PATCH, handle: ofTxn(change) },
      DELETE: { ...ofKey.DELETE, handle: ofTxn(remove) },
      POST: { handle: txn, body: 'json', resource: 'kv' },
    },
  };
}
