/** @typedef {import('./types.js').TerminalInput} TerminalInput */
/** @typedef {import('./types.js').Usage} Usage */

/** The members that the native hub writes by itself. */
const COUNTS = new Set(['prompt_tokens', 'completion_tokens', 'total_tokens', 'estimated']);

/**
 * @param {Usage} usage
 * @param {string} [text] its JSON, whose bytes must not change
 * @returns {any[]} in the format of native/addon/bindings/streams/hub_arguments.h
 */
function nativeUsage(usage, text) {
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens, estimated } = usage;
  const sum = promptTokens + completionTokens;
  const total = usage.total_tokens ?? sum;
  const plain = total === sum && Object.keys(usage).every((name) => COUNTS.has(name));
  const json = text ?? (plain ? '' : JSON.stringify({ ...usage, total_tokens: total }));
  return [promptTokens, completionTokens, estimated === true, json];
}

/**
 * @param {TerminalInput | NonNullable<import('./types.js').RestoredJob['terminal']>} terminal
 * @returns {any[]} in the format of native/addon/bindings/streams/hub_arguments.h
 */
export function nativeTerminal(terminal) {
  const { type, usage, details, error } = terminal;
  const counts =
    usage && nativeUsage(usage, 'usageJson' in terminal ? terminal.usageJson : undefined);
  const more = typeof details === 'object' ? JSON.stringify(details) : (details ?? '{}');
  if (type === 'error') {
    return [type, error?.code, error?.message, error?.type, more, counts];
  }
  return [type, terminal.reason, terminal.rawReason, '', more, counts];
}
