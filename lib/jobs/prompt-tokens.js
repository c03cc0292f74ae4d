/**
 * Estimates the tokens of a prompt, for use before the model reports the actual number.
 * @param {import('./request.js').JobRequest} request
 * @returns {number} a quarter of its bytes
 */
export function estimatePromptTokens({ prompt, messages = [] }) {
  const bytes = messages.reduce(
    (sum, { content }) => sum + Buffer.byteLength(content),
    Buffer.byteLength(prompt ?? ''),
  );
  return Math.ceil(bytes / 4);
}
