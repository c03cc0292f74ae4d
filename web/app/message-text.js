/**
 * The text that the page shows of a message: text, a word for each other part, calls of tools.
 * Pure functions.
 */

/** @typedef {import('../client.js').ConversationMessage} ConversationMessage */

/** @param {any} part of a content */
function textOfPart(part) {
  const text = part?.text ?? part?.refusal;
  if (typeof text === 'string') return text;
  return `[${String(part?.type ?? 'part').replace(/^input_|_url$/g, '')}]`;
}

/** @param {any} call of a tool */
function textOfCall(call) {
  const { name = '', arguments: given = '' } = call?.function ?? {};
  return `${name}(${given})`;
}

/**
 * @param {Pick<ConversationMessage, 'content' | 'tool_calls' | 'refusal'>} message
 * @returns {string}
 */
export function textOfMessage({ content, tool_calls: calls, refusal }) {
  const texts = Array.isArray(content) ? content.map(textOfPart) : [content ?? ''];
  texts.push(refusal ?? '', ...(Array.isArray(calls) ? calls.map(textOfCall) : []));
  return texts.filter((text) => text !== '').join('\n');
}
