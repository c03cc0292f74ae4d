/**
 * What a data file holds, as plain objects: jobs by age, then keys. Works beside a server that has
 * the file, and sees the state of one moment.
 */
import { SqliteStore } from './sqlite.js';
import { namedJob, restoredJob } from './job-rows.js';

/**
 * @param {SqliteStore} store
 * @param {any[]} row
 */
function exportedJob(store, row) {
  const job = namedJob(row);
  const tokens = store.select('tokens', [job.number, job.attempt]);
  const { terminal } = restoredJob(job, tokens, { nowMs: 0, retentionMs: 0 });
  const { error, reason, usage } = terminal ?? {};
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
    // A token ends where a character does, so joining them as bytes loses nothing.
    text: Buffer.concat(tokens.map(([, , text]) => text)).toString(),
    ...(tokens.length > 0 && tokens[0][0] > 1 && { text_truncated: true }),
    ...(usage && { usage }),
    ...(error && { error }),
    ...(reason && { reason }),
    ...(job.cache && { cache: job.cache }),
    ...(job.metadata && { metadata: JSON.parse(job.metadata) }),
  };
}

/**
 * @param {string} file
 * @returns {Generator<object>}
 * @throws {import('../errors.js').SluiceError} `ERR_DATA_...`
 */
export function* exported(file) {
  const store = new SqliteStore(file, { readOnly: true });
  try {
    for (const row of store.select('jobs')) yield exportedJob(store, row);
    for (const [name, fingerprint, answer, expiresAtMs] of store.select('keys')) {
      // A key has no line feed, a principal may.
      const [key] = name.split('\n', 1);
      yield {
        type: 'idempotency_key',
        key,
        principal: name.slice(key.length + 1),
        fingerprint,
        job_id: JSON.parse(answer).id,
        expires_at_ms: expiresAtMs,
      };
    }
  } finally {
    store.release();
  }
}
