import { finishError, invalidResponse, reportedError } from '../openai/errors.js';
import { parseExact, stringifyExact } from '../../internal/util/exact-json.js';

/** @typedef {string | {reasoning: string} | {tool_call: object} | {extra: Record<string, unknown>}} Piece */

/**
 * Reasons of the job by the API's stop reasons.
 * @type {Record<string, import('../shared/types.js').ProviderEnd['reason']>}
 */
const REASONS = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
};

/** Statuses of the API's error types. @type {Record<string, number>} */
const STATUSES = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
};

/**
 * An error reported by the API within an answer.
 * @param {any} error
 * @param {readonly string[]} secrets values that are never quoted
 */
function errorOf(error, secrets) {
  const { message, type } = error ?? {};
  const code = Object.hasOwn(STATUSES, type) ? STATUSES[type] : undefined;
  return reportedError({ message, code, type }, secrets);
}

/** @param {any} usage of the API @returns {Record<string, any> | undefined} as of the chat API */
function chatUsage(usage) {
  const { input_tokens: input, output_tokens: output, ...rest } = usage;
  if (!Number.isSafeInteger(input) || !Number.isSafeInteger(output)) return undefined;
  const read = rest.cache_read_input_tokens ?? 0;
  const written = rest.cache_creation_input_tokens ?? 0;
  const prompt = input + read + written;
  return {
    prompt_tokens: prompt,
    completion_tokens: output,
    total_tokens: prompt + output,
    prompt_tokens_details: { cached_tokens: read },
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null)),
  };
}

/**
 * Converts the events of one streamed message, or a whole message, to pieces of an answer. Ends with
 * `end()`.
 */
export class MessageDecoder {
  /** Numbers of calls, by the index of their block. @type {Map<number, number>} */
  #calls = new Map();
  /** Blocks passed on as a whole, by index: those of tools run by the API. */
  /** @type {Map<number, {block: Record<string, any>, json: string}>} */
  #others = new Map();
  /** Blocks of thinking, in order. @type {Record<string, any>[]} */
  #thoughts = [];
  /** The open ones among them, by index. @type {Map<number, Record<string, any>>} */
  #open = new Map();
  /** Blocks of thinking passed on as a whole. */
  #given = 0;
  /** @type {Record<string, any>} */
  #usage = {};
  /** @type {string | undefined} */
  #stopReason;
  /** @type {string | undefined} */
  #stopSequence;
  #secrets;
  /** Whether the message has begun. */
  begun = false;

  /** @param {readonly string[]} secrets never quoted */
  constructor(secrets) {
    this.#secrets = secrets;
  }

  /** Whether the stop reason is known, so that the answer is complete. */
  get isComplete() {
    return this.#stopReason !== undefined;
  }

  /**
   * @param {any} event parsed
   * @returns {Piece[]}
   * @throws {import('../shared/errors.js').ProviderError} for an error reported by the API
   */
  take(event) {
    const { type, index } = event ?? {};
    switch (type) {
      case 'message_start':
        return this.takeMessage(event.message);
      case 'content_block_start':
        return this.#start(index, event.content_block ?? {});
      case 'content_block_delta':
        return this.#delta(index, event.delta ?? {});
      case 'content_block_stop':
        return this.#stop(index);
      case 'message_delta':
        this.#addUsage(event.usage);
        this.#takeStop(event.delta);
        return [];
      case 'error':
        throw errorOf(event.error, this.#secrets);
      default:
        // `ping`, `message_stop`, and future types.
        return [];
    }
  }

  /**
   * @param {any} message complete, or its beginning
   * @returns {Piece[]}
   */
  takeMessage(message) {
    if (message?.type === 'error') throw errorOf(message.error, this.#secrets);
    if (typeof message !== 'object' || message === null || !Array.isArray(message.content)) {
      throw invalidResponse('something else than a message');
    }
    this.begun = true;
    this.#addUsage(message.usage);
    this.#takeStop(message);
    return message.content.flatMap((/** @type {any} */ block, /** @type {number} */ index) => [
      ...this.#start(index, block),
      ...this.#stop(index),
    ]);
  }

  /**
   * @returns {import('../shared/types.js').ProviderEnd}
   * @throws {import('../shared/errors.js').ProviderError} for a stop reason other than success
   */
  end() {
    const rawReason = this.#stopReason ?? '';
    if (!Object.hasOwn(REASONS, rawReason)) throw finishError(rawReason, this.#secrets);
    return {
      reason: REASONS[rawReason],
      rawReason,
      ...(this.#stopSequence !== undefined && { stopSequence: this.#stopSequence }),
      usage: /** @type {any} */ (chatUsage(this.#usage)),
    };
  }

  /** @param {any} given a message, or its last changes */
  #takeStop(given) {
    const { stop_reason: reason, stop_sequence: sequence } = given ?? {};
    this.#stopReason = reason ?? this.#stopReason;
    if (typeof sequence === 'string') this.#stopSequence = sequence;
  }

  /** Counts of later events replace earlier ones. @param {any} usage */
  #addUsage(usage) {
    const given = Object.entries(usage ?? {}).filter(([, value]) => value !== null);
    Object.assign(this.#usage, Object.fromEntries(given));
  }

  /** @param {number} index @param {any} block @returns {Piece[]} */
  #start(index, block) {
    const { type } = block;
    if (type === 'text') {
      const texts = block.text ? [block.text] : [];
      return block.citations?.length > 0 ? [...texts, citation(block.citations)] : texts;
    }
    if (type === 'thinking' || type === 'redacted_thinking') {
      return this.#startThought(index, block);
    }
    if (type === 'tool_use') return this.#startCall(index, block);
    this.#others.set(index, { block, json: '' });
    return [];
  }

  /** @param {number} index @param {any} block @returns {Piece[]} */
  #startThought(index, { type, data, thinking = '', signature = '' }) {
    const isOpen = type === 'thinking';
    const thought = isOpen ? { type, thinking: '', signature: '' } : { type, data };
    this.#thoughts.push(thought);
    this.#open.set(index, thought);
    return isOpen ? this.#addThought(index, { thinking, signature }) : [];
  }

  /** @param {number} index @param {{thinking?: string, signature?: string}} more @returns {Piece[]} */
  #addThought(index, { thinking = '', signature = '' }) {
    const thought = this.#open.get(index);
    if (thought?.type !== 'thinking') return [];
    thought.thinking += thinking;
    thought.signature += signature;
    return [
      ...(thinking === '' ? [] : [{ reasoning: thinking }]),
      ...(signature === '' ? [] : [{ extra: { signature } }]),
    ];
  }

  /**
   * A single block of thinking is fully represented by reasoning and signature. Several blocks, and blocks without
   * text, are also passed on as a whole, because the API accepts them back only unchanged.
   * @param {number} index
   * @returns {Piece[]}
   */
  #stopThought(index) {
    if (!this.#open.delete(index)) return [];
    const [first] = this.#thoughts;
    if (this.#thoughts.length === 1 && first.type === 'thinking') return [];
    const blocks = this.#thoughts.slice(this.#given);
    this.#given = this.#thoughts.length;
    return [{ extra: { thinking_blocks: blocks } }];
  }

  /** @param {number} index @param {any} block @returns {Piece[]} */
  #startCall(index, { id, name, input }) {
    const call = this.#calls.size;
    this.#calls.set(index, call);
    const isGiven = Object.keys(input ?? {}).length > 0;
    return [
      { tool_call: { index: call, id, name } },
      ...(isGiven ? [{ tool_call: { index: call, arguments: stringifyExact(input) } }] : []),
    ];
  }

  /** @param {number} index @param {any} delta @returns {Piece[]} */
  #delta(index, delta) {
    switch (delta.type) {
      case 'text_delta':
        return delta.text ? [delta.text] : [];
      case 'thinking_delta':
      case 'signature_delta':
        return this.#addThought(index, delta);
      case 'input_json_delta':
        return this.#addInput(index, delta.partial_json ?? '');
      case 'citations_delta':
        return delta.citation ? [citation([delta.citation])] : [];
      default:
        return [];
    }
  }

  /** @param {number} index @param {string} json @returns {Piece[]} */
  #addInput(index, json) {
    const call = this.#calls.get(index);
    const other = this.#others.get(index);
    if (other !== undefined) other.json += json;
    return call === undefined || json === ''
      ? []
      : [{ tool_call: { index: call, arguments: json } }];
  }

  /** @param {number} index @returns {Piece[]} */
  #stop(index) {
    const other = this.#others.get(index);
    if (other === undefined) return this.#stopThought(index);
    this.#others.delete(index);
    const { block, json } = other;
    return [{ extra: { content_blocks: [json === '' ? block : withInput(block, json)] } }];
  }
}

/** @param {object[]} citations @returns {Piece} */
function citation(citations) {
  return { extra: { citations } };
}

/** @param {Record<string, any>} block @param {string} json */
function withInput(block, json) {
  try {
    return { ...block, input: parseExact(json) };
  } catch {
    return { ...block, input: json };
  }
}
