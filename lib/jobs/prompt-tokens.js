/**
 * How many tokens a prompt has, about: for what has to be known before the model says it.
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
