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
const operations = {
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
    success: operations,
    failure: operations,
    cursor: { type: 'integer', minimum: 0, maximum: OPERATIONS_MAX },
  },
});

/**
 * @typedef {object} TxnRequest
 * @property {{key: string, version?: number, value?: unknown}[]} [compare] `version` 0: no such key
 * @property {TxnOperation[]} [success]
 * @property {TxnOperation[]} [failure]
 * @property {number} [cursor] gets before this operation omit their values; for read-only
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
    const message = 'cursor is for transactions that only get: nothing is to be written twice.';
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
      const message = `${name}.${field} is no field of ${operation.op}.`;
      throw badRequest('unknown_field', `${name}.${field}`, message);
    }
    if (operation.op === 'get') continue;
    if (written.has(operation.key)) {
      throw badRequest('invalid_value', `${name}.key`, `${name}.key is written once already.`);
    }
    written.add(operation.key);
  }
}

/**
 * The body of `PATCH /v1/kv/{key}`.
 * @param {unknown} body
 * @returns {{increment?: number, ttl_s?: number | null}} at least one of them
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

/**
 * @param {import('../../primitives/kv/namespaces.js').KvNamespace} space
 * @param {TxnRequest} request checked
 * @param {(entry: KvEntry) => Record<string, unknown>} toJson the fields of an entry
 * @param {(entry: {expiresAt: number | undefined}) => number | null} expiryOf Unix seconds
 * @returns {{succeeded: boolean, responses: TxnResponse[], cursor?: number}} `cursor`: the first
 *   get whose value was omitted because the answer is full
 */
export function runTxn(space, request, toJson, expiryOf) {
  const { compare = [], success = [], failure = [], cursor = 0 } = request;
  /** @param {import('../../primitives/kv/namespaces.js').NamespaceTransaction} tx */
  const work = (tx) => {
    const succeeded = compare.every(({ key: of, version, value }) => {
      if (version !== undefined && version !== (tx.head(of)?.version ?? 0)) return false;
      return value === undefined || isDeepStrictEqual(tx.get(of)?.value, value);
    });
    const room = { left: ANSWER_BYTES_MAX };
    /** @type {number | undefined} */
    let next;
    /** @type {(operation: TxnOperation, i: number) => TxnResponse} */
    const respond = (each, i) => {
      if (each.op !== 'get') return write(tx, each);
      const { key: of } = each;
      const head = tx.head(of);
      if (head === undefined) return { op: 'get', key: of, found: false };
      // An omitted value is not read: there may be 128 large ones.
      const mayFit = room.left === ANSWER_BYTES_MAX || head.bytes <= room.left;
      const wanted = i >= cursor && next === undefined && mayFit;
      const fields = wanted ? toJson(/** @type {KvEntry} */ (tx.get(of))) : undefined;
      if (fields !== undefined && fits(fields, room)) {
        return { op: 'get', key: of, found: true, ...fields };
      }
      if (i >= cursor) next ??= i;
      const { version } = head;
      const omitted = { version, expires_at: expiryOf(head), value_omitted: true };
      return { op: 'get', key: of, found: true, ...omitted };
    };
    const responses = (succeeded ? success : failure).map(respond);
    return { succeeded, responses, ...(next !== undefined && { cursor: next }) };
  };
  return space.transactNow(work, ({ responses }, tx) => {
    for (const response of responses) {
      // Versions of puts are known only now, also for later gets of the same key.
      if ('version' in response) response.version ??= tx.versionOf(response.key);
    }
  });
}

/**
 * Whether a value fits in the answer; the first one always does.
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
 * @param {import('../../primitives/kv/namespaces.js').NamespaceTransaction} tx
 * @param {TxnOperation} operation
 * @returns {TxnResponse}
 */
function write(tx, { op, key: of, value, by = 1, ttl_s: ttlS }) {
  const ttlMs = ttlS === undefined ? undefined : ttlS * 1000;
  if (op === 'put') {
    tx.set(of, value, { ttlMs });
    return { op, key: of, version: undefined };
  }
  if (op === 'increment') {
    return { op, key: of, value: tx.increment(of, by, { ttlMs }), version: undefined };
  }
  if (op === 'touch') {
    const found = tx.touch(of, { ttlMs });
    return { op, key: of, found, ...(found && { version: undefined }) };
  }
  const deleted = tx.head(of) !== undefined;
  tx.delete(of);
  return { op, key: of, deleted };
}
