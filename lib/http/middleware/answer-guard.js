/** Answers up to this size are not guarded: sockets and kernels buffer as much. */
const SMALL_BYTES = 256 * 1024;

/**
 * Guards a written answer that its client has not read yet: it counts in the memory budget,
 * and a client without progress for `stallMs` is disconnected. Event streams, which are not
 * complete when their handler returns, have their own limits. Main thread.
 * @param {import('node:http').ServerResponse} res
 * @param {object} options
 * @param {import('../../internal/util/memory-budget.js').MemoryBudget} options.memory
 * @param {string} options.principal principal of the request
 * @param {number} options.stallMs
 */
export function guardAnswer(res, { memory, principal, stallMs }) {
  // HTTP/2 and adapters of other servers have no such property, and their own flow control.
  const bytes = res.writableEnded && !res.closed ? (res.writableLength ?? 0) : 0;
  if (bytes <= SMALL_BYTES) return;
  memory.count('answers', principal, bytes);
  res.once('close', () => memory.count('answers', principal, -bytes));
  res.setTimeout(stallMs, () => res.destroy());
}
