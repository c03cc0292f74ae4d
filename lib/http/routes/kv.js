/** `/v1/kv`: the caller's keys and values, one by one, page by page, and several at once. */
import { isUtf8 } from 'node:buffer';
import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { checkTxn, mayWrite, runTxn } from './kv-txn.js';
import { isConditional, precondition, tagOf } from './kv-preconditions.js';
import { jsonBody, rawBody } from '../middleware/json-body.js';
import { kInternals } from '../../internal/util/symbols.js';
import { kTtlSMax } from '../../jobs/request.js';
import { principalOf } from '../middleware/authenticate.js';

/** @typedef {import('express').RequestHandler} RequestHandler */
/** @typedef {import('express').Request} Request */
/** @typedef {import('express').Response} Response */

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

/** @param {Request} req */
function keyOf(req) {
  const { key } = req.params;
  return Array.isArray(key) ? key.join('/') : key;
}

/**
 * @param {Request} req
 * @param {string} name
 * @returns {string | undefined}
 */
function queryOf(req, name) {
  const { [name]: value } = req.query;
  if (value === undefined || typeof value === 'string') return value;
  throw badRequest('invalid_value', name, `${name} must be given once.`);
}

/** @param {Request} req */
function ttlMsOf(req) {
  const text = queryOf(req, 'ttl_s');
  if (text === undefined) return undefined;
  const seconds = /^\d{1,10}(\.\d{1,9})?$/.test(text) ? Number(text) : NaN;
  if (seconds > 0 && seconds <= kTtlSMax) return seconds * 1000;
  const message = `ttl_s must be a number of seconds above 0, at most ${kTtlSMax}.`;
  throw badRequest('invalid_value', 'ttl_s', message);
}

/** @param {Request} req */
function limitOf(req) {
  const text = queryOf(req, 'limit') ?? String(LIMIT_DEFAULT);
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw badRequest('invalid_value', 'limit', `limit must be an integer from 1 to ${LIMIT_MAX}.`);
}

/**
 * The value that a body is.
 * @param {Request} req whose body was read as bytes
 */
function valueOf(req) {
  const bytes = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
  const [type, ...parameters] = (req.headers['content-type'] ?? '').toLowerCase().split(';');
  const charset = parameters.map((each) => /^\s*charset="?([^"]*)"?\s*$/.exec(each)?.[1]);
  const isText = charset.every((name) => name === undefined || /^(utf-?8|us-ascii)$/.test(name));
  switch (type.trim()) {
    case BYTES_TYPE:
      return new Uint8Array(bytes);
    case TEXT_TYPE:
      if (!isText) break;
      if (isUtf8(bytes)) return bytes.toString();
      throw badRequest('invalid_value', null, 'The body is not UTF-8.');
    case JSON_TYPE:
      if (!isText) break;
      return parseJson(bytes);
  }
  const takes = `${JSON_TYPE}, ${TEXT_TYPE} (both UTF-8) or ${BYTES_TYPE}`;
  throw new HttpError(415, {
    code: 'unsupported_media_type',
    message: `The body must be ${takes}.`,
  });
}

/** @param {Buffer} bytes */
function parseJson(bytes) {
  try {
    if (isUtf8(bytes)) return JSON.parse(bytes.toString());
  } catch {
    // Told below.
  }
  throw badRequest('invalid_json', null, 'The body is not JSON.');
}

/**
 * @param {Response} res
 * @param {unknown} value
 */
function sendValue(res, value) {
  // A value is anybody's text: nothing may take it for a page.
  res.set('X-Content-Type-Options', 'nosniff');
  if (value instanceof Uint8Array) {
    res.type(BYTES_TYPE).send(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  } else if (typeof value === 'string') {
    res.type(TEXT_TYPE).send(value);
  } else {
    res.json(value);
  }
}

/**
 * @param {any} value
 * @returns {{value: unknown, encoding?: 'base64'}} within JSON
 */
function wireValue(value) {
  if (!(value instanceof Uint8Array)) return { value };
  return { value: Buffer.from(value).toString('base64'), encoding: 'base64' };
}

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {Record<'read' | 'remove' | 'list', RequestHandler> & Record<'write' | 'txn', RequestHandler[]>}
 */
export function kvRoutes(gateway) {
  const { kv, options, memory } = gateway[kInternals];
  const limit = options.kv.maxValueBytes;
  /** @param {Request} req */
  const spaceOf = (req) => kv.area.of(principalOf(req));

  /** @param {Request} req that writes */
  const checkRoom = (req) => {
    kv.spaces.checkRoom();
    memory.check('kv', principalOf(req));
  };

  /**
   * What anybody is told is on the disk, also that a key is not there or has another version: a crash
   * takes nothing back, and no version that was seen comes again for something else.
   * @param {(req: Request, res: Response) => Decided} decide
   * @returns {RequestHandler}
   */
  const route = (decide) => async (req, res) => {
    /** @type {Decided} */
    let decided;
    try {
      decided = translated(() => decide(req, res));
    } catch (error) {
      const { status } = /** @type {any} */ (error);
      if (status === 404 || status === 412) await kv.spaces.synced();
      throw error;
    }
    await kv.spaces.synced(decided.version);
    decided.tell();
  };

  const write = route((req, res) => {
    const key = keyOf(req);
    const space = spaceOf(req);
    const value = valueOf(req);
    const ttlMs = ttlMsOf(req);
    const version = space.get(key)?.version ?? 0;
    if (precondition(req, version) !== 'met') throw preconditionFailed(version);
    checkRoom(req);
    const ifVersion = isConditional(req) ? version : undefined;
    const set = space.set(key, value, { ttlMs, ifVersion });
    const tell = () =>
      res
        .status(version === 0 ? 201 : 200)
        .set('ETag', tagOf(set))
        .json({ key, version: set });
    return { version: set, tell };
  });

  return {
    write: [rawBody(limit), write],

    read: route((req, res) => {
      const entry = spaceOf(req).get(keyOf(req));
      const met = precondition(req, entry?.version ?? 0);
      if (met === 'failed') throw preconditionFailed(entry?.version ?? 0);
      if (entry === undefined) throw keyNotFound();
      const { version, value } = entry;
      const expiresAt = kv.spaces.expiryOf(entry);
      const tell = () => {
        res.set('ETag', tagOf(version));
        if (expiresAt !== null) res.set('X-Expires-At', String(expiresAt));
        if (met === 'not_modified') res.status(304).end();
        else sendValue(res, value);
      };
      return { version, tell };
    }),

    remove: route((req, res) => {
      const key = keyOf(req);
      const space = spaceOf(req);
      const version = space.get(key)?.version ?? 0;
      if (precondition(req, version) !== 'met') throw preconditionFailed(version);
      if (version === 0) throw keyNotFound();
      kv.spaces.checkRoom();
      const ifVersion = isConditional(req) ? version : undefined;
      if (!space.delete(key, { ifVersion })) throw keyNotFound();
      return { tell: () => res.status(204).end() };
    }),

    list: route((req, res) => {
      const prefix = queryOf(req, 'prefix') ?? '';
      const cursor = queryOf(req, 'cursor');
      const page = spaceOf(req).scan({ prefix, cursor, limit: limitOf(req) });
      const items = page.items.map(({ key, value, version }) => ({
        key,
        ...wireValue(value),
        version,
      }));
      return { tell: () => res.json({ items, cursor: page.cursor ?? null }) };
    }),

    txn: [
      ...jsonBody,
      route((req, res) => {
        const request = checkTxn(req.body);
        if (mayWrite(request)) checkRoom(req);
        const answer = runTxn(spaceOf(req), request, (entry) => ({
          ...wireValue(entry.value),
          version: entry.version,
          expires_at: kv.spaces.expiryOf(entry),
        }));
        return { tell: () => res.json(answer) };
      }),
    ],
  };
}
