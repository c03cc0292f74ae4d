/** Events, nodes and providers of the tests of workflows. */
import { SluiceError } from '../../../lib/index.js';

/** Events as short words: `node_started a`, and runs of a node's tokens as `token a`. */
export function words(events) {
  const all = events.map(({ type, data }) => (data.node ? `${type} ${data.node}` : type));
  return all.filter((word, i) => !word.startsWith('token ') || word !== all[i - 1]);
}

/** The tokens of one node, as one text. */
export function tokensOf(events, node) {
  const tokens = events.filter(({ type, data }) => type === 'token' && data.node === node);
  return tokens.map(({ data }) => data.token).join('');
}

/** A workflow's nodes by their ids. */
export const byId = ({ nodes }) => Object.fromEntries(nodes.map((node) => [node.id, node]));

/** A provider that answers by the prompt, and records its requests. */
export function answering(answerOf) {
  const prompts = [];
  async function* provider(request) {
    const prompt = request.prompt ?? request.messages.map(({ content }) => content).join('|');
    prompts.push(prompt);
    const answer = await answerOf(prompt, request);
    for (const word of answer.match(/\S+\s*|\s+/g) ?? []) yield word;
  }
  return { provider, prompts };
}

/** A provider's error for a transient failure. */
export function passing(fields = {}) {
  return new SluiceError('ERR_UPSTREAM_UNAVAILABLE', 'The upstream answered 503.', {
    wireCode: 'upstream_unavailable',
    type: 'upstream_error',
    retryable: true,
    ...fields,
  });
}
