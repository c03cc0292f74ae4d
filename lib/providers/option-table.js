/** The options of the providers. Their checks, flags and documentation are generated from these rows. */

/** @typedef {import('../internal/util/option-table.js').OptionRow} OptionRow */

/** @type {readonly OptionRow[]} */
export const DEMO_OPTIONS = Object.freeze([
  {
    path: 'tokenIntervalMs',
    type: 'milliseconds',
    default: 200,
    flag: 'token-interval-ms',
    help: 'time between two words of a job; 0: no wait',
  },
  {
    path: 'text',
    type: 'other',
    jsType: 'string',
    takes: 'a string',
    defaultText: 'a text about Sluice',
    help: 'the answer to every prompt; without it, a prompt with the word `weather` gets reasoning and a tool call, one with `markdown` a table and code, one with `refuse` a refusal',
  },
]);

/** @type {readonly OptionRow[]} */
export const OPENAI_OPTIONS = Object.freeze([
  {
    path: 'baseUrl',
    type: 'other',
    jsType: 'string',
    takes: 'an http or https URL',
    required: true,
    flag: 'upstream',
    flagValue: 'URL',
    help: 'base URL of the server; without a path, `/v1` is added',
  },
  {
    path: 'apiKey',
    type: 'other',
    jsType: 'string',
    takes: 'visible ASCII characters',
    help: 'bearer token of each call',
  },
  {
    path: 'model',
    type: 'other',
    jsType: 'string',
    takes: 'a string',
    help: 'default model, and the only one that requests may name; without it they may name any',
  },
  {
    path: 'mode',
    type: 'choice',
    choices: ['chat', 'completions'],
    default: 'chat',
    flag: 'mode',
    help: '`chat` makes one call per prompt, `completions` one per batch, with an array of prompts',
  },
  {
    path: 'idleMs',
    type: 'milliseconds',
    min: 1,
    default: 60_000,
    flag: 'upstream-idle-ms',
    help: 'silence of the server after which a call has failed',
  },
  {
    path: 'headers',
    type: 'other',
    jsType: 'Record<string, string>',
    takes: 'an object',
    help: 'further headers of each call',
  },
  {
    path: 'query',
    type: 'other',
    jsType: 'Record<string, string>',
    takes: 'an object',
    help: 'members of the query of each call, such as the `api-version` of Azure',
  },
  {
    path: 'client',
    type: 'choice',
    choices: ['auto', 'native', 'undici'],
    default: 'auto',
    flag: 'upstream-client',
    help: 'client for the calls: the core with libcurl (`native`) or undici; `auto` uses `native` if libcurl is available',
  },
]);

const sharedRows = OPENAI_OPTIONS.filter(({ path }) =>
  ['model', 'idleMs', 'headers', 'query'].includes(path),
).map(({ flag: _, ...row }) => row);

/** @type {readonly OptionRow[]} */
export const ANTHROPIC_OPTIONS = Object.freeze([
  {
    path: 'baseUrl',
    type: 'other',
    jsType: 'string',
    takes: 'an http or https URL',
    default: 'https://api.anthropic.com',
    help: 'base URL of the server; without a path, `/v1` is added',
  },
  {
    path: 'apiKey',
    type: 'other',
    jsType: 'string',
    takes: 'visible ASCII characters',
    help: 'key of each call, as `x-api-key`',
  },
  ...sharedRows,
]);

/** @type {readonly OptionRow[]} */
export const LLAMA_OPTIONS = Object.freeze([
  {
    path: 'modelPath',
    type: 'other',
    jsType: 'string',
    takes: 'the path of a GGUF file',
    required: true,
    help: 'the model',
  },
  {
    path: 'sequences',
    type: 'integer',
    max: 256,
    default: 8,
    help: 'texts generated at the same time',
  },
  {
    path: 'contextSize',
    type: 'integer',
    unit: 'tokens',
    min: 16,
    defaultText: 'as the model was trained, at most 4096, and as memory allows',
    help: 'tokens per text, prompt and answer together',
  },
  {
    path: 'gpu',
    type: 'other',
    jsType: "false | 'auto' | 'cuda' | 'vulkan' | 'metal'",
    takes: '`false`, `auto`, `cuda`, `vulkan`, `metal`',
    default: false,
    help: 'graphics processor to use; `false` is the CPU',
  },
  {
    path: 'threads',
    type: 'integer',
    max: 1024,
    defaultText: 'one less than there are cores good for arithmetic',
    help: 'threads for the computation',
  },
  {
    path: 'model',
    type: 'other',
    jsType: 'string',
    takes: 'a string',
    defaultText: 'the name of the file, without .gguf',
    help: 'name of the model in `/v1/models`',
  },
]);

// types: DemoOptions
/**
 * @typedef {object} DemoOptions
 * @property {number} [tokenIntervalMs] time between two words of a job; 0: no wait; default 200
 * @property {string} [text] the answer to every prompt; without it, a prompt with the word `weather` gets
 *   reasoning and a tool call, one with `markdown` a table and code, one with `refuse` a refusal; default:
 *   a text about Sluice
 */
// end of types

// types: OpenAiOptions
/**
 * @typedef {object} OpenAiOptions
 * @property {string} baseUrl base URL of the server; without a path, `/v1` is added
 * @property {string} [apiKey] bearer token of each call
 * @property {string} [model] default model, and the only one that requests may name; without it they may
 *   name any
 * @property {'chat' | 'completions'} [mode] `chat` makes one call per prompt, `completions` one per batch,
 *   with an array of prompts; default `chat`
 * @property {number} [idleMs] silence of the server after which a call has failed; default 60000
 * @property {Record<string, string>} [headers] further headers of each call
 * @property {Record<string, string>} [query] members of the query of each call, such as the `api-version`
 *   of Azure
 * @property {'auto' | 'native' | 'undici'} [client] client for the calls: the core with libcurl (`native`)
 *   or undici; `auto` uses `native` if libcurl is available; default `auto`
 */
// end of types

// types: AnthropicOptions
/**
 * @typedef {object} AnthropicOptions
 * @property {string} [baseUrl] base URL of the server; without a path, `/v1` is added; default
 *   https://api.anthropic.com
 * @property {string} [apiKey] key of each call, as `x-api-key`
 * @property {string} [model] default model, and the only one that requests may name; without it they may
 *   name any
 * @property {number} [idleMs] silence of the server after which a call has failed; default 60000
 * @property {Record<string, string>} [headers] further headers of each call
 * @property {Record<string, string>} [query] members of the query of each call, such as the `api-version`
 *   of Azure
 */
// end of types

// types: LlamaOptions
/**
 * @typedef {object} LlamaOptions
 * @property {string} modelPath the model
 * @property {number} [sequences] texts generated at the same time; default 8
 * @property {number} [contextSize] tokens per text, prompt and answer together; default: as the model was
 *   trained, at most 4096, and as memory allows
 * @property {false | 'auto' | 'cuda' | 'vulkan' | 'metal'} [gpu] graphics processor to use; `false` is the
 *   CPU; default false
 * @property {number} [threads] threads for the computation; default: one less than there are cores good for
 *   arithmetic
 * @property {string} [model] name of the model in `/v1/models`; default: the name of the file, without
 *   .gguf
 */
// end of types
