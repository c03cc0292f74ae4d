/**
 * An answer in which the model may call functions: node-llama-cpp's own function calling, whose grammars
 * make each call complete and valid. It passes pieces to callbacks; this file converts them to a generator.
 */
import { linkSignals } from '../../internal/util/abort.js';
import { StopFilter } from '../shared/stop-filter.js';

/** @typedef {import('../shared/types.js').AnswerPiece} AnswerPiece */
/** @typedef {import('../shared/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('node-llama-cpp').ChatWrapper} ChatWrapper */
/** @typedef {import('node-llama-cpp').LlamaChatResponseFunctionCallParamsChunk} ParamsChunk */
/** @typedef {import('node-llama-cpp').LlamaChatResponseChunk} TextChunk */

/** Thrown by the engine's context shift: the answer ends when the context is full. */
class ContextFull extends Error {}

/**
 * A wrapper whose answers begin with a call.
 * @param {typeof import('node-llama-cpp')} module
 * @param {ChatWrapper} wrapper
 * @returns {ChatWrapper}
 */
function forcingCalls({ LlamaText }, wrapper) {
  return new Proxy(wrapper, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const method = value.bind(target);
      if (name !== 'generateContextState') return method;
      return (/** @type {any} */ options) => {
        const { contextText, stopGenerationTriggers } = method(options);
        const noPrefixTrigger = { type: 'functionCall', inject: LlamaText('') };
        return { contextText, stopGenerationTriggers, noPrefixTrigger };
      };
    },
  });
}

/** Queue of pieces from callbacks to a generator, bounded by the number of the context's tokens. */
class Pieces {
  /** @type {AnswerPiece[]} */
  #ready = [];
  #wake = () => {};
  #filter;
  /** The number of the open call; -1: none. */
  #call = -1;
  /** White space that may be the end of the open call's arguments. */
  #space = '';

  /** @param {StopFilter} filter */
  constructor(filter) {
    this.#filter = filter;
  }

  /** @param {AnswerPiece} piece */
  #put(piece) {
    this.#ready.push(piece);
    this.#wake();
  }

  /** @param {TextChunk} chunk */
  takeText({ type, segmentType, text }) {
    if (type === 'segment') {
      if (segmentType === 'thought' && text !== '') this.#put({ reasoning: text });
      return;
    }
    const released = this.#filter.push(text);
    if (released !== '') this.#put(released);
  }

  /** Text that could be the beginning of a stop string. */
  flush() {
    const held = this.#filter.flush();
    if (held !== '') this.#put(held);
  }

  /** @param {number} index @param {string} name */
  open(index, name) {
    if (index === this.#call) return;
    this.flush();
    this.#call = index;
    this.#space = '';
    this.#put({ tool_call: { index, name } });
  }

  /** @param {ParamsChunk} chunk */
  takeParams({ callIndex: index, functionName, paramsChunk }) {
    this.open(index, functionName);
    const all = this.#space + paramsChunk;
    const text = all.trimEnd();
    this.#space = all.slice(text.length);
    if (text !== '') this.#put({ tool_call: { index, arguments: text } });
  }

  /** @param {Promise<unknown>} done settles when there are no further pieces */
  async *drain(done) {
    let isOver = false;
    const end = () => {
      isOver = true;
      this.#wake();
    };
    done.then(end, end);
    for (;;) {
      const ready = this.#ready;
      this.#ready = [];
      yield* ready;
      if (this.#ready.length > 0) continue;
      if (isOver) return;
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
      });
    }
  }
}

/**
 * @typedef {object} ToolWork
 * @property {import('node-llama-cpp').ChatHistoryItem[]} history
 * @property {import('./chat-history.js').Tools} tools
 * @property {number} promptTokens
 * @property {number} tokensMax
 * @property {string[]} stops
 * @property {object} sampling
 * @property {AbortSignal} signal
 */

/**
 * @param {typeof import('node-llama-cpp')} module
 * @param {ChatWrapper} wrapper of the model
 * @param {import('node-llama-cpp').LlamaContextSequence} sequence without any tokens
 * @param {ToolWork} work
 * @returns {AsyncGenerator<AnswerPiece, ProviderEnd | undefined, void>} ends early at `return()`
 */
export async function* answerWithTools(module, wrapper, sequence, work) {
  const { history, tools, tokensMax, stops, sampling, signal } = work;
  const filter = new StopFilter(stops);
  const pieces = new Pieces(filter);
  const halt = linkSignals([signal]);
  const chat = new module.LlamaChat({
    contextSequence: sequence,
    chatWrapper: tools.isForced ? forcingCalls(module, wrapper) : wrapper,
  });
  const before = sequence.tokenMeter.getState();
  let calls = 0;
  const answer = chat.generateResponse(history, {
    ...sampling,
    functions: tools.functions,
    documentFunctionParams: true,
    maxParallelFunctionCalls: tools.callsMax,
    maxTokens: tokensMax,
    // Same as in answers without tools.
    repeatPenalty: false,
    contextShift: {
      strategy() {
        throw new ContextFull();
      },
    },
    signal: halt.signal,
    stopOnAbortSignal: true,
    onResponseChunk(chunk) {
      pieces.takeText(chunk);
      if (filter.stopped) halt.abort();
    },
    onFunctionCallParamsChunk: (chunk) => pieces.takeParams(chunk),
    onFunctionCall({ functionName }) {
      // For a function without parameters nothing was sent before.
      pieces.open(calls, functionName);
      calls += 1;
    },
  });
  try {
    yield* pieces.drain(answer);
    const { stopReason } = await reasonOf(answer, halt.signal);
    if (signal.aborted) return undefined;
    pieces.flush();
    yield* pieces.drain(Promise.resolve());
    const { usedOutputTokens: used } = sequence.tokenMeter.diff(before);
    const { stopSequence } = filter;
    const isCut = stopSequence === undefined && stopReason === 'maxTokens';
    return {
      reason: isCut ? 'length' : 'stop',
      ...(stopSequence !== undefined && { stopSequence }),
      usage: { prompt_tokens: work.promptTokens, completion_tokens: used },
    };
  } finally {
    halt.abort();
    await answer.catch(() => {});
    chat.dispose({ disposeSequence: false });
  }
}

/**
 * @param {Promise<import('node-llama-cpp').LlamaChatResponse<any>>} answer
 * @param {AbortSignal} signal of the answer
 * @returns {Promise<{stopReason: string}>}
 */
async function reasonOf(answer, signal) {
  try {
    const { metadata } = await answer;
    return metadata;
  } catch (error) {
    if (error instanceof ContextFull) return { stopReason: 'maxTokens' };
    // The abort came before the first token.
    if (signal.aborted) return { stopReason: 'abort' };
    throw error;
  }
}
