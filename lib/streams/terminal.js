/** @typedef {import('./types.js').TerminalInput} TerminalInput */
/** @typedef {import('./types.js').Usage} Usage */

/** The members that the native hub writes by itself. */
const COUNTS = new Set(['prompt_tokens', 'completion_tokens', 'total_tokens', 'estimated']);

/**
 * @param {Usage} usage
 * @param {string} [text] its JSON, whose bytes are to be kept
 * @returns {object} as native/addon/bindings/streams/hub_arguments.h reads it
 */
function nativeUsage(usage, text) {
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens, estimated } = usage;
  const sum = promptTokens + completionTokens;
  const total = usage.total_tokens ?? sum;
  const plain = total === sum && Object.keys(usage).every((name) => COUNTS.has(name));
  const json = text ?? (plain ? '' : JSON.stringify({ ...usage, total_tokens: total }));
  return { promptTokens, completionTokens, estimated: estimated === true, json };
}

/**
 * @param {TerminalInput | NonNullable<import('./types.js').RestoredJob['terminal']>} terminal
 * @returns {object} as native/addon/bindings/streams/hub_arguments.h reads it
 */
export function nativeTerminal(terminal) {
  const { usage, details = {}, usageJson, ...rest } = { usageJson: undefined, ...terminal };
  return {
    ...rest,
    usage: usage && nativeUsage(usage, usageJson),
    details: typeof details === 'string' ? details : JSON.stringify(details),
  };
}
