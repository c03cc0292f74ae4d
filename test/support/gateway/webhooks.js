/** Jobs and log lines of the tests of webhooks. */
import { newSecret } from '../upstream/webhook-receiver.js';

export const secret = newSecret();
export const HOUR_MS = 3_600_000;

/** A logger that collects its lines as `{level, message, ...fields}`. */
export function collector() {
  const lines = [];
  const logger = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [
      level,
      (fields, message) => lines.push({ level, message, ...fields }),
    ]),
  );
  return { lines, logger };
}

/** Submits a job and returns it once it has ended. */
export async function run({ submit, ended }, body = { prompt: 'hello there' }) {
  const answer = await submit(body);
  expect(answer.status).toBe(201);
  return ended(answer.body.job_id);
}
