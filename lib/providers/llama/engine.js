/**
 * A GGUF model in this process, through node-llama-cpp: loading it, and generating on the sequences
 * of one context, which llama.cpp decodes together. Main thread only; dispose() ends it.
 */
import { SluiceError } from '../../internal/util/errors.js';
import { answerWithTools } from './tool-chat.js';
import { historyOf, toolsOf } from './chat-history.js';
import { requestRefusal } from '../shared/errors.js';
import { SequencePool } from './sequence-pool.js';
import { Speller } from './detokenizer.js';
import { StopFilter } from '../shared/stop-filter.js';

/** @typedef {import('../shared/types.js').ProviderRequest} ProviderRequest */
/** @typedef {import('../shared/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('../shared/types.js').AnswerPiece} AnswerPiece */
/** @typedef {import('node-llama-cpp').Token} Token */
/** @typedef {import('node-llama-cpp').LlamaContextSequence} Sequence */

/** llama.cpp's own defaults; a temperature of 0 always selects the most likely token. */
const SAMPLING = Object.freeze({ temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 });

/** A long prompt is evaluated in parts of this many tokens; aborts take effect between two. */
const PROMPT_PART = 256;

/**
 * @param {string} code
 * @param {string} message
 * @param {{cause?: unknown, wireCode?: string, type?: string}} [details]
 */
function engineError(code, message, details) {
  const wire = { wireCode: 'provider_error', type: 'provider_error' };
  return new SluiceError(code, message, { ...wire, ...details });
}

async function importEngine() {
  try {
    return await import('node-llama-cpp');
  } catch (cause) {
    const absent = /** @type {{code?: string}} */ (cause).code === 'ERR_MODULE_NOT_FOUND';
    throw absent
      ? engineError(
          'ERR_LLAMA_NOT_INSTALLED',
          'The llama provider needs the package node-llama-cpp: npm install node-llama-cpp',
          { cause },
        )
      : engineError('ERR_LLAMA_FAILED', 'node-llama-cpp is installed but does not load.', {
          cause,
        });
  }
}

/**
 * @typedef {object} EngineOptions
 * @property {string} modelPath
 * @property {number} sequences texts generated in parallel
 * @property {number} [contextSize] tokens per sequence; default: limited by memory, at most 4096
 * @property {false | 'auto' | 'cuda' | 'vulkan' | 'metal'} gpu
 * @property {number} [threads] default: number of math cores minus one
 */

/** A loaded model with its context. Made by LlamaEngine.load(). */
export class LlamaEngine {
  #llama;
  #model;
  #context;
  #pool;
  #chat;
  #module;

  /**
   * @param {typeof import('node-llama-cpp')} module
   * @param {import('node-llama-cpp').Llama} llama
   * @param {import('node-llama-cpp').LlamaModel} model
   * @param {import('node-llama-cpp').LlamaContext} context
   */
  constructor(module, llama, model, context) {
    this.#module = module;
    this.#llama = llama;
    this.#model = model;
    this.#context = context;
    this.#pool = new SequencePool(() => context.getSequence(), context.totalSequences);
    this.#chat = module.resolveChatWrapper(model, { warningLogs: false });
  }

  /** @param {EngineOptions} options */
  static async load({ modelPath, sequences, contextSize, gpu, threads }) {
    const module = await importEngine();
    /** @type {import('node-llama-cpp').Llama | undefined} */
    let llama;
    try {
      // A server must not compile llama.cpp, which the default does if no prebuilt binary matches.
      llama = await module.getLlama({
        gpu,
        build: 'never',
        progressLogs: false,
        logLevel: module.LlamaLogLevel.error,
      });
      const model = await llama.loadModel({ modelPath });
      const context = await model.createContext({
        sequences,
        contextSize: contextSize ?? { max: Math.min(4096, model.trainContextSize) },
        // The threads of an evaluation wait for one another in a busy loop. With one thread per
        // core, each time slice used by Node would stall all of them.
        threads: threads ?? Math.max(1, llama.cpuMathCores - 1),
      });
      return new LlamaEngine(module, llama, model, context);
    } catch (cause) {
      await llama?.dispose();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw engineError('ERR_LLAMA_FAILED', `The model ${modelPath} did not load: ${reason}`, {
        cause,
      });
    }
  }

  /**
   * Answers one request on its own sequence, once one is free.
   * @param {ProviderRequest} request
   * @param {AbortSignal} signal takes effect between two tokens and while waiting for a sequence
   * @returns {AsyncGenerator<AnswerPiece, ProviderEnd | undefined, void>}
   */
  async *generate(request, signal) {
    const tools = toolsOf(request.body ?? {});
    const { tokens, stops, history } = this.#tokenize(request, tools);
    const room = this.#context.contextSize - tokens.length;
    if (room < 1) {
      throw requestRefusal(
        `The prompt has ${tokens.length} tokens; the model's context holds ${this.#context.contextSize}.`,
        {
          code: 'context_length_exceeded',
          param: request.messages === undefined ? 'prompt' : 'messages',
        },
      );
    }
    const tokensMax = Math.min(request.maxTokens ?? Infinity, room);
    const sequence = await this.#pool.acquire(signal);
    try {
      if (tools === undefined) {
        return yield* this.#run(sequence, { tokens, stops, tokensMax, request, signal });
      }
      return yield* answerWithTools(this.#module, this.#chat, sequence, {
        ...{ history, tools, tokensMax, signal, stops: request.stop ?? [] },
        ...{ promptTokens: tokens.length, sampling: samplingOf(request) },
      });
    } finally {
      await this.#pool.release(sequence);
    }
  }

  /**
   * @param {Sequence} sequence
   * @param {{tokens: Token[], stops: string[], tokensMax: number, request: ProviderRequest,
   *   signal: AbortSignal}} work
   * @returns {AsyncGenerator<string, ProviderEnd | undefined, void>}
   */
  async *#run(sequence, { tokens, stops, tokensMax, request, signal }) {
    const rest = await evaluateAllButLast(sequence, tokens, signal);
    if (signal.aborted) return undefined;
    const filter = new StopFilter(stops);
    const speller = new Speller(this.#model, tokens);
    let generated = 0;
    for await (const token of sequence.evaluate(rest, samplingOf(request))) {
      if (signal.aborted) return undefined;
      generated += 1;
      const text = filter.push(speller.push(token));
      if (text !== '') yield text;
      if (filter.stopped || generated >= tokensMax) break;
    }
    const tail = filter.push(speller.flush()) + filter.flush();
    if (tail !== '') yield tail;
    const { stopSequence } = filter;
    return {
      reason: stopSequence === undefined && generated >= tokensMax ? 'length' : 'stop',
      ...(stopSequence !== undefined && { stopSequence }),
      usage: { prompt_tokens: tokens.length, completion_tokens: generated },
    };
  }

  /**
   * A prompt without tools is continued directly; messages go through the model's own chat template.
   * @param {ProviderRequest} request
   * @param {import('./chat-history.js').Tools} [tools] tools described by the template
   * @returns {{tokens: Token[], stops: string[], history: import('node-llama-cpp').ChatHistoryItem[]}}
   */
  #tokenize({ prompt = '', messages, stop = [] }, tools) {
    const { bos, shouldPrependBosToken } = this.#model.tokens;
    if (messages === undefined && tools === undefined) {
      const tokens = this.#model.tokenize(prompt);
      if (bos !== null && (shouldPrependBosToken || tokens.length === 0)) tokens.unshift(bos);
      return { tokens, stops: stop, history: [] };
    }
    const history = historyOf(messages ?? [{ role: 'user', content: prompt }]);
    const state = this.#chat.generateContextState({
      chatHistory: history,
      ...(tools && { availableFunctions: tools.functions, documentFunctionParams: true }),
    });
    const tokens = state.contextText.tokenize(this.#model.tokenizer);
    // The engine detects the end-of-text token itself, but not an end marker that a template writes
    // as text.
    const spelled = state.stopGenerationTriggers
      .map((trigger) => trigger.values)
      .filter((values) => values.length > 0 && values.every((part) => typeof part === 'string'))
      .map((values) => values.join(''));
    return { tokens, stops: [...stop, ...spelled], history };
  }

  /** Ends all generation and frees the model. The signals of all requests must be aborted by now. */
  async dispose() {
    await this.#pool.close();
    await this.#context.dispose();
    await this.#model.dispose();
    await this.#llama.dispose();
  }
}

/**
 * @param {ProviderRequest} request
 * @returns {{temperature: number, topK: number, topP: number, minP: number, seed?: number}}
 */
function samplingOf({ temperature = SAMPLING.temperature, body = {} }) {
  const number = (/** @type {string} */ name, /** @type {number} */ fallback) =>
    Number.isFinite(body[name]) ? Number(body[name]) : fallback;
  return {
    temperature,
    topK: number('top_k', SAMPLING.topK),
    topP: number('top_p', SAMPLING.topP),
    minP: number('min_p', SAMPLING.minP),
    // The engine accepts 32 bits; without a seed it uses the time.
    ...(Number.isInteger(body.seed) && { seed: Number(body.seed) >>> 0 }),
  };
}

/**
 * Evaluates a long prompt part by part.
 * @param {Sequence} sequence
 * @param {Token[]} tokens
 * @param {AbortSignal} signal
 * @returns {Promise<Token[]>} tokens left to evaluate: at least one, from which to generate
 */
async function evaluateAllButLast(sequence, tokens, signal) {
  let at = 0;
  for (; tokens.length - at > PROMPT_PART && !signal.aborted; at += PROMPT_PART) {
    await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + PROMPT_PART));
  }
  return tokens.slice(at);
}
