/**
 * Contents of a data file as plain objects: jobs by age, idempotency keys, the ledger's events,
 * keys with their values (at /v1/kv, and conversations) by version, and usage by hours. Works while
 * a server has the file open, and reads a consistent snapshot.
 */
import { SqliteStore } from './sqlite.js';
import { decodeValue, isText } from '../../primitives/kv/values.js';
import { eventOf } from '../../primitives/ledger/events.js';
import { namedJob, namedUsage, restoredJob } from './rows.js';
import { answerOf } from './token-rows.js';

/** Rows per read. */
const PAGE = 1000;
const NS_PER_MS = 1e6;
const HOUR_MS = 3_600_000;
/** "Never", in nanoseconds. */
const NEVER = 2n ** 63n - 1n;

/**
 * @param {SqliteStore} store
 * @param {any[]} row
 */
function exportedJob(store, row) {
  const job = namedJob(row);
  const tokens = store.select('tokens', [job.number, job.attempt]);
  const { terminal } = restoredJob(job, tokens, { nowMs: 0, retentionMs: 0 });
  const { error, reason, rawReason, usage } = terminal ?? {};
  return {
    type: 'job',
    job_id: job.id,
    principal: job.principal,
    model: job.model,
    status: job.status ?? (job.started_ns === null ? 'queued' : 'running'),
    created_at_ms: job.created_at_ms,
    ended_at_ms: job.ended_at_ms,
    attempt: job.attempt,
    tokens: tokens.reduce((sum, [, count]) => sum + count, 0),
    ...answerOf(tokens),
    ...(tokens.length > 0 && tokens[0][0] > 1 && { text_truncated: true }),
    ...(usage && { usage }),
    ...(error && { error }),
    ...(reason && { reason }),
    ...(rawReason && { raw_reason: rawReason }),
    ...(job.head && { head: store.parse(job.head) }),
    ...(job.cache && { cache: job.cache }),
    ...(job.metadata && { metadata: store.parse(job.metadata) }),
  };
}

/**
 * The rows of a query that takes a start position (exclusive) and a limit.
 * @param {SqliteStore} store
 * @param {string} name
 * @returns {Generator<any[]>} rows whose first column is their position
 */
function* paged(store, name) {
  for (let after = 0; ;) {
    const rows = store.select(name, [after, PAGE]);
    yield* rows;
    if (rows.length === 0) return;
    after = rows.at(-1)?.[0];
  }
}

/** @param {number | bigint} ns */
const msOf = (ns) => (ns === NEVER ? Infinity : Number(ns) / NS_PER_MS);

/** @param {any[]} row */
function exportedEvent(row) {
  const [id, type, atNs, key, from, to, amount, target, timeNs, force, dueNs, ...rest] = row;
  const event = eventOf([
    ...[id, type, msOf(atNs), key, from, to, BigInt(amount), target, msOf(timeNs), force !== 0],
    ...[msOf(dueNs), ...rest],
  ]);
  // Amounts may exceed the exact range of JSON numbers.
  const wire = Object.entries(event).map(([name, value]) => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    typeof value === 'bigint' || value === Infinity ? String(value) : value,
  ]);
  const { type: eventType, ...fields } = Object.fromEntries(wire);
  return { type: 'ledger_event', event_type: eventType, ...fields };
}

/** @param {any[]} row */
function exportedEntry([version, fullKey, kind, data, expiresNs]) {
  // The file stores texts as bytes.
  const value = decodeValue(isText(kind) ? data.toString() : data, kind);
  const bytes = value instanceof Uint8Array;
  // Names of areas and principals contain no `/` here.
  const [area, principal, ...key] = fullKey.toString().split('/');
  return {
    type: 'kv',
    area,
    key: key.join('/'),
    principal: principal.startsWith('#') ? principal : decodeURIComponent(principal),
    ...(bytes ? { value: Buffer.from(value).toString('base64'), encoding: 'base64' } : { value }),
    version,
    ...(expiresNs !== null && { expires_at_ms: msOf(expiresNs) }),
  };
}

/** @param {any[]} row */
function exportedUsage(row) {
  const { hour, cost, ...counts } = namedUsage(row);
  return { type: 'usage', from_ms: hour * HOUR_MS, ...counts, cost: String(cost) };
}

/**
 * @param {string} file
 * @returns {Generator<object>}
 * @throws {import('../../internal/util/errors.js').SluiceError} `ERR_DATA_...`
 */
export function* exported(file) {
  const store = new SqliteStore(file, { readOnly: true });
  try {
    for (const row of store.select('jobs')) yield exportedJob(store, row);
    for (const [name, fingerprint, answer, expiresAtMs] of store.select('keys')) {
      // A key contains no line feed; a principal may.
      const [key] = name.split('\n', 1);
      yield {
        type: 'idempotency_key',
        key,
        principal: name.slice(key.length + 1),
        fingerprint,
        job_id: store.parse(answer).id,
        expires_at_ms: expiresAtMs,
      };
    }
    for (const row of paged(store, 'events')) yield exportedEvent(row);
    for (const row of paged(store, 'entries')) yield exportedEntry(row);
    for (const row of store.select('usage')) yield exportedUsage(row);
  } finally {
    store.release();
  }
}
