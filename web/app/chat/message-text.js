/**
 * The displayed text of a message: its text, and a word for each part of another type.
 * Pure functions.
 */

/** @typedef {import('../../client.js').ConversationMessage} ConversationMessage */

/** @param {any} part of a content */
function textOfPart(part) {
  const text = part?.text ?? part?.refusal;
  if (typeof text === 'string') return text;
  return `[${String(part?.type ?? 'part').replace(/^input_|_url$/g, '')}]`;
}

/**
 * @param {Pick<ConversationMessage, 'content'>} message
 * @returns {string}
 */
export function textOfMessage({ content }) {
  const texts = Array.isArray(content) ? content.map(textOfPart) : [content ?? ''];
  return texts.filter((text) => text !== '').join('\n');
}
