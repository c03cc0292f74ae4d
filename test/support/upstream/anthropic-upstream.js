/**
 * A server of Anthropic's Messages API for tests, over real HTTP. A test passes the response of each
 * call: named events as in the API's documentation.
 */
import { startMockUpstream } from './mock-upstream.js';

/** An event as the API sends it. @param {object} data with its `type` */
export const frame = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

/** The beginning of a message. */
export const start = (message = {}) => ({
  type: 'message_start',
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-x',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 25, output_tokens: 1 },
    ...message,
  },
});

/** A block, whole: its start, its deltas, its end. */
export const block = (index, content_block, ...deltas) => [
  { type: 'content_block_start', index, content_block },
  ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
  { type: 'content_block_stop', index },
];
export const text = (index, ...pieces) =>
  block(
    index,
    { type: 'text', text: '' },
    ...pieces.map((piece) => ({ type: 'text_delta', text: piece })),
  );
export const thinking = (index, signature, ...pieces) =>
  block(
    index,
    { type: 'thinking', thinking: '', signature: '' },
    ...pieces.map((piece) => ({ type: 'thinking_delta', thinking: piece })),
    { type: 'signature_delta', signature },
  );
export const toolUse = (index, { id, name }, ...pieces) =>
  block(
    index,
    { type: 'tool_use', id, name, input: {} },
    { type: 'input_json_delta', partial_json: '' },
    ...pieces.map((piece) => ({ type: 'input_json_delta', partial_json: piece })),
  );

/** The end of a message. */
export const stop = (stop_reason = 'end_turn', usage = { output_tokens: 15 }) => [
  { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage },
  { type: 'message_stop' },
];

export const ping = { type: 'ping' };

/** Answers with these events. */
export const streamEvents =
  (...events) =>
  async (exchange) => {
    exchange.open();
    for (const event of events) await exchange.raw(frame(event));
    exchange.end();
  };

/** Answers with JSON. */
export const answerJson =
  (status, body, headers = {}) =>
  (exchange) => {
    exchange.open(status, { 'content-type': 'application/json', ...headers });
    exchange.res.end(JSON.stringify(body));
  };

/** A refusal in the form of the API. */
export const refuse = (status, type, message, headers) =>
  answerJson(status, { type: 'error', error: { type, message }, request_id: 'req_1' }, headers);

/** A mock upstream that answers each call with the next of `answers`, the last one repeatedly. */
export async function startAnthropic(...answers) {
  let calls = 0;
  return startMockUpstream((exchange) => {
    const answer = answers[Math.min(calls, answers.length - 1)];
    calls += 1;
    return answer(exchange);
  });
}
