/** Reads the body of `POST /v1/responses` and converts it to a chat request. Pure functions. */
import { badRequest } from '../../../internal/util/http-error.js';
import { checkBody } from '../chat/request.js';
import { checkMetadataSize } from '../../../jobs/request.js';
import { schemaCheck } from '../../../internal/util/request-schema.js';

/** @typedef {import('./items.js').Item} Item */

const nullable = (/** @type {string} */ type) => ({ type: [type, 'null'] });

const schema = {
  type: 'object',
  properties: {
    model: { type: ['string', 'null'], minLength: 1, maxLength: 256 },
    input: { type: ['string', 'array'], minItems: 1, items: { type: 'object' } },
    instructions: nullable('string'),
    background: nullable('boolean'),
    store: nullable('boolean'),
    stream: nullable('boolean'),
    previous_response_id: nullable('string'),
    conversation: { type: ['string', 'object', 'null'] },
    include: nullable('array'),
    truncation: nullable('string'),
    max_tool_calls: nullable('integer'),
    max_output_tokens: { type: ['integer', 'null'], minimum: 1 },
    temperature: nullable('number'),
    top_p: nullable('number'),
    parallel_tool_calls: nullable('boolean'),
    stream_options: nullable('object'),
    client_metadata: nullable('object'),
    metadata: nullable('object'),
    text: nullable('object'),
    reasoning: nullable('object'),
    tools: { type: ['array', 'null'], items: { type: 'object' } },
    tool_choice: { type: ['string', 'object', 'null'] },
    user: nullable('string'),
    sluice: { type: 'object' },
  },
};

const check = schemaCheck(schema);

/** Members that are interpreted or converted; all others are passed to the upstream unchanged. */
const READ = new Set(
  Object.keys(schema.properties).filter(
    (name) => name !== 'top_p' && name !== 'parallel_tool_calls',
  ),
);

/**
 * @typedef {object} ResponseRequest
 * @property {string} [model]
 * @property {string | Item[]} input
 * @property {string | null} instructions
 * @property {boolean} stream
 * @property {boolean} background
 * @property {boolean} store
 * @property {string} [previous] id of the previous response in the chain
 * @property {Record<string, unknown>} options of the job
 * @property {Record<string, any>} request the members that the gateway interprets, without model and
 *   messages
 * @property {Record<string, any>} passed further members of the upstream's request
 * @property {Record<string, unknown>} envelope the members of the response that repeat the request
 * @property {boolean} summary whether reasoning is shown as its summary
 */

const CHOICE_TYPES = new Set(['function', 'allowed_tools']);

/** @param {any} choice @returns {any} */
function toolChoice(choice) {
  if (choice?.type === 'allowed_tools') {
    const { type, mode, tools = [] } = choice;
    return { type, [type]: { mode, tools: tools.map(toolChoice) } };
  }
  if (choice?.type !== 'function') return choice;
  return { type: 'function', function: { name: choice.name } };
}

/**
 * @param {any[]} tools
 * @param {'refuse' | 'drop'} unsupported
 */
function chatTools(tools, unsupported) {
  const taken = tools.filter(({ type }, i) => {
    if (type === 'function') return true;
    if (unsupported === 'drop') return false;
    const param = `tools[${i}].type`;
    throw badRequest(
      'unsupported_tool',
      param,
      `${param} must be function: no other tool runs here.`,
    );
  });
  return taken.map(({ type, ...tool }) => ({ type, function: tool }));
}

/** @param {any} format of `text` */
function responseFormat(format) {
  if (format?.type !== 'json_schema') return format;
  const { type, ...schemaOf } = format;
  return { type, json_schema: schemaOf };
}

/**
 * @param {Record<string, any>} request checked
 * @param {{unsupportedTools: 'refuse' | 'drop'}} options
 * @returns {Record<string, any>}
 */
function passedOn(request, { unsupportedTools }) {
  const others = Object.fromEntries(Object.entries(request).filter(([name]) => !READ.has(name)));
  const { include, tools, tool_choice: choice, text, reasoning } = request;
  const kept = tools ? chatTools(tools, unsupportedTools) : [];
  // The upstream would refuse a choice of an omitted tool.
  const hasChoice =
    choice != null &&
    kept.length > 0 &&
    (typeof choice === 'string' || CHOICE_TYPES.has(choice.type) || unsupportedTools === 'refuse');
  const wantsLogprobs = include?.includes('message.output_text.logprobs');
  return {
    ...others,
    ...(kept.length > 0 && { tools: kept }),
    ...(hasChoice && { tool_choice: toolChoice(choice) }),
    ...(text?.format && { response_format: responseFormat(text.format) }),
    ...(text?.verbosity && { verbosity: text.verbosity }),
    ...(reasoning?.effort && { reasoning_effort: reasoning.effort }),
    ...(wantsLogprobs && { logprobs: true }),
  };
}

/**
 * The members of a response object that repeat its request.
 * @param {Record<string, any>} request
 */
function repeated(request) {
  const { reasoning, text, tools, metadata, previous_response_id: previous } = request;
  return {
    background: request.background ?? false,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    metadata: metadata ?? {},
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: previous ?? null,
    reasoning: { effort: reasoning?.effort ?? null, summary: reasoning?.summary ?? null },
    store: request.store ?? true,
    temperature: request.temperature ?? null,
    text: { format: { type: 'text' }, ...text },
    tool_choice: request.tool_choice ?? 'auto',
    tools: tools ?? [],
    top_p: request.top_p ?? null,
    truncation: request.truncation ?? 'disabled',
    user: request.user ?? null,
    ...(request.conversation != null && {
      conversation: { id: conversationId(request.conversation) },
    }),
  };
}

/** @param {any} conversation */
const conversationId = (conversation) =>
  typeof conversation === 'string' ? conversation : conversation?.id;

/**
 * @param {unknown} body
 * @param {{unsupportedTools: 'refuse' | 'drop'}} options
 * @returns {ResponseRequest}
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400, naming the member
 */
export function interpretResponse(body, options) {
  const request = checkBody(check, body);
  const { prompt, input, background, store, sluice, metadata, conversation } = request;
  if (prompt != null) {
    throw badRequest('unsupported_feature', 'prompt', 'prompt templates are not supported.');
  }
  if (input === undefined && request.previous_response_id == null) {
    throw badRequest('missing_field', 'input', 'input is required.');
  }
  if (background === true && store === false) {
    throw badRequest('invalid_value', 'background', 'background needs store.');
  }
  const turn = conversationId(conversation);
  if (conversation != null && (typeof turn !== 'string' || turn === '')) {
    throw badRequest(
      'invalid_value',
      'conversation',
      'conversation must be the id of a conversation.',
    );
  }
  if (turn !== undefined && request.previous_response_id != null) {
    const message = 'previous_response_id and conversation exclude each other.';
    throw badRequest('invalid_value', 'previous_response_id', message);
  }
  checkMetadataSize(metadata ?? undefined);
  return {
    model: request.model ?? undefined,
    input: input ?? [],
    instructions: request.instructions ?? null,
    stream: request.stream === true,
    background: background === true,
    store: store !== false,
    previous: request.previous_response_id ?? undefined,
    options: { ...sluice, ...(turn !== undefined && { conversation_id: turn }) },
    request: {
      temperature: request.temperature,
      user: request.user,
      max_tokens: request.max_output_tokens,
    },
    passed: passedOn(request, options),
    envelope: repeated(request),
    summary: request.reasoning?.summary != null,
  };
}
