/**
 * `POST /v1/kv/txn`: runs the operations of `success` if all comparisons hold, else those of
 * `failure`, atomically.
 */
import { isDeepStrictEqual } from 'node:util';
import { badRequest } from '../../internal/util/http-error.js';
import { TTL_S_MAX, schemaRefusal } from '../../jobs/request.js';
import { ANSWER_BYTES_MAX, jsonBytesOf } from '../../primitives/kv/namespaces.js';
import { schemaCheck } from '../../internal/util/request-schema.js';

/** The same limit as etcd's. */
const OPERATIONS_MAX = 128;

const key = { type: 'string', minLength: 1 };
const operationList = {
  type: 'array',
  maxItems: OPERATIONS_MAX,
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['op', 'key'],
    properties: {
      op: { type: 'string', enum: ['get', 'put', 'delete', 'increment', 'touch'] },
      key,
      value: {},
      by: { type: 'number' },
      ttl_s: { type: 'number', minimum: 0.001, maximum: TTL_S_MAX },
    },
  },
};
const validatePatch = schemaCheck({
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  properties: {
    increment: { type: 'number' },
    ttl_s: { type: ['number', 'null'], minimum: 0.001, maximum: TTL_S_MAX },
  },
});
const validate = schemaCheck({
  type: 'object',
  additionalProperties: false,
  properties: {
    compare: {
      type: 'array',
      maxItems: OPERATIONS_MAX,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['key'],
        properties: { key, version: { type: 'integer', minimum: 0 }, value: {} },
      },
    },
    success: operationList,
    failure: operationList,
    cursor: { type: 'integer', minimum: 0, maximum: OPERATIONS_MAX },
  },
});

/**
 * @typedef {object} TxnRequest
 * @property {{key: string, version?: number, value?: unknown}[]} [compare] `version` 0: no such key
 * @property {TxnOperation[]} [success]
 * @property {TxnOperation[]} [failure]
 * @property {number} [cursor] reads before this operation omit their values; for read-only
 *   transactions
 */
/** @typedef {import('../../primitives/kv/values.js').KvEntry} KvEntry */
/**
 * @typedef {object} TxnOperation
 * @property {'get' | 'put' | 'delete' | 'increment' | 'touch'} op
 * @property {string} key
 * @property {unknown} [value] of `put`
 * @property {number} [by] of `increment`; default 1
 * @property {number} [ttl_s] of `put`, `touch`, and an `increment` that creates the key; default:
 *   no expiry
 */
/** The fields that an operation may have besides `op` and `key`. */
const FIELDS = /** @type {Record<TxnOperation['op'], string[]>} */ ({
  get: [],
  put: ['value', 'ttl_s'],
  delete: [],
  increment: ['by', 'ttl_s'],
  touch: ['ttl_s'],
});
/** @typedef {{op: TxnOperation['op'], key: string} & Record<string, unknown>} TxnResponse */

/**
 * @param {unknown} body
 * @returns {TxnRequest}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function checkTxn(body) {
  if (!validate(body)) throw schemaRefusal(/** @type {any} */ (validate.errors)[0]);
  const request = /** @type {TxnRequest} */ (body);
  for (const [i, { version, value }] of (request.compare ?? []).entries()) {
    if (version === undefined && value === undefined) {
      const param = `compare[${i}].version`;
      throw badRequest('missing_field', param, 'A comparison needs a version or a value.');
    }
  }
  for (const branch of /** @type {const} */ (['success', 'failure'])) {
    checkOperations(branch, request[branch] ?? []);
  }
  if (request.cursor !== undefined && mayWrite(request)) {
    const message = 'cursor is for transactions of gets alone: a repeated write would apply twice.';
    throw badRequest('invalid_value', 'cursor', message);
  }
  return request;
}

/**
 * @param {string} branch
 * @param {TxnOperation[]} list
 */
function checkOperations(branch, list) {
  const written = new Set();
  for (const [i, operation] of list.entries()) {
    const name = `${branch}[${i}]`;
    const puts = operation.op === 'put';
    if (puts && operation.value === undefined) {
      throw badRequest('missing_field', `${name}.value`, `${name}.value is required to put.`);
    }
    for (const field of /** @type {const} */ (['value', 'by', 'ttl_s'])) {
      if (operation[field] === undefined || FIELDS[operation.op].includes(field)) continue;
      const message = `${name}.${field} is not a field of ${operation.op}.`;
      throw badRequest('unknown_field', `${name}.${field}`, message);
    }
    if (operation.op === 'get') continue;
    if (written.has(operation.key)) {
      throw badRequest(
        'invalid_value',
        `${name}.key`,
        `${name}.key is already written by an earlier operation.`,
      );
    }
    written.add(operation.key);
  }
}

/**
 * The body of `PATCH /v1/kv/{key}`.
 * @param {unknown} body
 * @returns {{increment?: number, ttl_s?: number | null}} at least one field
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function checkPatch(body) {
  if (!validatePatch(body)) throw schemaRefusal(/** @type {any} */ (validatePatch.errors)[0]);
  return /** @type {any} */ (body);
}

/** @param {TxnRequest} request checked */
export function mayWrite({ success = [], failure = [] }) {
  return [...success, ...failure].some(({ op }) => op !== 'get');
}

/** @typedef {import('../../primitives/kv/port.js').SpaceTransaction} SpaceTransaction */
/** @typedef {import('../../primitives/kv/values.js').KvHead} KvHead */

/**
 * @param {import('../../primitives/kv/port.js').KvSpace} space
 * @param {TxnRequest} request checked
 * @param {(entry: KvEntry) => Record<string, unknown>} toJson the fields of an entry
 * @param {(entry: {expiresAt: number | undefined}) => number | null} expiryOf Unix seconds
 * @returns {Promise<{succeeded: boolean, responses: TxnResponse[], cursor?: number}>} `cursor`: the first
 *   get whose value was omitted because the answer is full
 */
export async function runTxn(space, request, toJson, expiryOf) {
  const { compare = [], success = [], failure = [], cursor = 0 } = request;
  return space.transact(
    function* work(tx) {
      const succeeded = /** @type {boolean} */ (yield* allHold(tx, compare));
      const operations = succeeded ? success : failure;
      yield* preloadFor(tx, operations, cursor);
      const room = { left: ANSWER_BYTES_MAX };
      const responses = [];
      /** @type {number | undefined} */
      let next;
      for (const [i, operation] of operations.entries()) {
        if (operation.op !== 'get') {
          responses.push(yield* write(tx, operation));
          continue;
        }
        const isWanted = i >= cursor && next === undefined;
        const { response, omitted } = yield* read(tx, operation.key, { room, isWanted });
        if (omitted && i >= cursor) next ??= i;
        responses.push(response);
      }
      return { succeeded, responses, ...(next !== undefined && { cursor: next }) };
    },
    ({ responses }, versionOf) => {
      for (const response of responses) {
        // Versions of writes are known only now, also for later reads of the same key.
        if ('version' in response) response.version ??= versionOf(response.key);
      }
    },
  );

  /**
   * @param {SpaceTransaction} tx
   * @param {string} of
   * @param {{room: {left: number}, isWanted: boolean}} options
   * @returns {Generator<any, {response: TxnResponse, omitted: boolean}, any>}
   */
  function* read(tx, of, { room, isWanted }) {
    const head = /** @type {KvHead | undefined} */ (yield tx.head(of));
    if (head === undefined) {
      return { response: { op: 'get', key: of, found: false }, omitted: false };
    }
    // Omitted values are not read, because there may be 128 large ones.
    const mayFit = room.left === ANSWER_BYTES_MAX || head.bytes <= room.left;
    const entry = isWanted && mayFit ? /** @type {KvEntry} */ (yield tx.get(of)) : undefined;
    const fields = entry && toJson(entry);
    if (fields !== undefined && fits(fields, room)) {
      return { response: { op: 'get', key: of, found: true, ...fields }, omitted: false };
    }
    const without = { version: head.version, expires_at: expiryOf(head), value_omitted: true };
    return { response: { op: 'get', key: of, found: true, ...without }, omitted: true };
  }
}

/**
 * @param {SpaceTransaction} tx
 * @param {NonNullable<TxnRequest['compare']>} compare
 * @returns {Generator<any, boolean, any>}
 */
function* allHold(tx, compare) {
  const keys = compare.map(({ key: of }) => of);
  const values = compare.filter(({ value }) => value !== undefined).map(({ key: of }) => of);
  yield* preload(tx, keys, new Set(values));
  for (const { key: of, version, value } of compare) {
    if (version !== undefined) {
      const head = /** @type {KvHead | undefined} */ (yield tx.head(of));
      if (version !== (head?.version ?? 0)) return false;
    }
    if (value === undefined) continue;
    const entry = /** @type {KvEntry | undefined} */ (yield tx.get(of));
    if (!isDeepStrictEqual(entry?.value, value)) return false;
  }
  return true;
}

/**
 * Reads in one call the keys that the operations would read one by one.
 * @param {SpaceTransaction} tx
 * @param {TxnOperation[]} operations
 * @param {number} cursor
 * @returns {Generator<any, void, any>}
 */
function* preloadFor(tx, operations, cursor) {
  const written = new Set();
  /** @type {string[]} */
  const keys = [];
  /** @type {Set<string>} */
  const values = new Set();
  for (const [i, { op, key: of }] of operations.entries()) {
    // Values written by a put need no read.
    if (op !== 'put' && !written.has(of)) keys.push(of);
    if (op === 'put') written.add(of);
    else if (op === 'increment' || (op === 'get' && i >= cursor)) values.add(of);
  }
  yield* preload(tx, keys, values);
}

/**
 * @param {SpaceTransaction} tx
 * @param {string[]} keys whose heads are read
 * @param {Set<string>} values those whose values are also read, as many as may fit in an answer
 * @returns {Generator<any, void, any>}
 */
function* preload(tx, keys, values) {
  yield tx.preload(keys, { values: false });
  let left = ANSWER_BYTES_MAX;
  const wanted = [];
  for (const of of keys) {
    if (!values.has(of)) continue;
    const head = /** @type {KvHead | undefined} */ (yield tx.head(of));
    left -= head?.bytes ?? 0;
    if (left < 0 && wanted.length > 0) break;
    wanted.push(of);
  }
  yield tx.preload(wanted, { values: true });
}

/**
 * Whether a value fits in the answer; the first value always fits.
 * @param {Record<string, unknown>} fields with the value
 * @param {{left: number}} room reduced by its size
 */
function fits({ value }, room) {
  const bytes = jsonBytesOf(value);
  if (bytes > room.left && room.left < ANSWER_BYTES_MAX) return false;
  room.left -= bytes;
  return true;
}

/**
 * @param {SpaceTransaction} tx
 * @param {TxnOperation} operation
 * @returns {Generator<any, TxnResponse, any>}
 */
function* write(tx, { op, key: of, value, by = 1, ttl_s: ttlS }) {
  const ttlMs = ttlS === undefined ? undefined : ttlS * 1000;
  if (op === 'put') {
    yield tx.set(of, value, { ttlMs });
    return { op, key: of, version: undefined };
  }
  if (op === 'increment') {
    return { op, key: of, value: yield tx.increment(of, by, { ttlMs }), version: undefined };
  }
  if (op === 'touch') {
    const found = /** @type {boolean} */ (yield tx.touch(of, { ttlMs }));
    return { op, key: of, found, ...(found && { version: undefined }) };
  }
  const deleted = (yield tx.head(of)) !== undefined;
  yield tx.delete(of);
  return { op, key: of, deleted };
}
