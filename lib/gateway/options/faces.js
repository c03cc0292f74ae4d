/** Options of the endpoints of other APIs: OpenAI's chat, embeddings and Responses. */

const MIB = 2 ** 20;
const DAY_MS = 24 * 3600 * 1000;

/** @type {readonly import('../../internal/util/option-table.js').OptionRow[]} */
export const FACES_OPTIONS = Object.freeze([
  {
    path: 'headHoldMs',
    type: 'milliseconds',
    default: 10_000,
    flag: 'head-hold-ms',
    help: 'longest wait of the OpenAI endpoints for the first token before they send the head of a stream',
    more: 'A job that fails within this time is answered by an HTTP status, so that SDKs can retry.',
  },
  {
    path: 'reasoningField',
    type: 'choice',
    choices: ['reasoning_content', 'reasoning', 'both'],
    default: 'reasoning_content',
    flag: 'reasoning-field',
    help: 'member with the reasoning in answers of `/v1/chat/completions`',
  },
  {
    path: 'embeddings.maxInputs',
    type: 'integer',
    unit: 'inputs',
    max: 2048,
    default: 256,
    flag: 'embeddings-max-inputs',
    help: 'number of waiting inputs, over all requests, at which the upstream is called',
  },
  {
    path: 'embeddings.idleMs',
    type: 'milliseconds',
    default: 5,
    flag: 'embeddings-idle-ms',
    help: 'time without a further request for embeddings after which the upstream is called',
  },
  {
    path: 'embeddings.maxWaitMs',
    type: 'milliseconds',
    default: 20,
    flag: 'embeddings-max-wait-ms',
    help: 'longest wait of a request for embeddings',
  },
  {
    path: 'unsupportedTools',
    type: 'choice',
    choices: ['refuse', 'drop'],
    default: 'refuse',
    flag: 'unsupported-tools',
    help: 'handling of tools other than functions in `/v1/responses`',
  },
  {
    path: 'responses.ttlMs',
    type: 'milliseconds',
    min: 1,
    default: DAY_MS,
    flag: 'responses-ttl-ms',
    help: 'time that `/v1/responses` keeps a stored response after its end',
  },
  {
    path: 'responses.maxCount',
    type: 'integer',
    unit: 'responses',
    min: 1,
    default: 10_000,
    flag: 'responses-max-count',
    help: 'stored responses; beyond this the oldest is deleted',
  },
  {
    path: 'responses.maxBytes',
    type: 'integer',
    unit: 'bytes',
    min: 1,
    default: 256 * MIB,
    flag: 'responses-max-bytes',
    help: 'size of the stored responses with their inputs; beyond this the oldest is deleted',
  },
]);
