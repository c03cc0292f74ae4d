/**
 * The answers of one upstream call: turns the decoder's events into what the pipeline takes, one
 * item per token, and sees to it that every request of the call ends exactly once.
 */
import { abortReason } from '../../internal/util/errors.js';
import native from '../../internal/native/addon.js';
import { whenAborted } from '../../internal/util/abort.js';
import { ProviderError } from '../shared/errors.js';
import {
  contentTypeError,
  errorForAnswer,
  incompleteError,
  invalidResponse,
  reportedError,
} from './errors.js';

/** @typedef {import('./call.js').UpstreamCall} UpstreamCall */
/** @typedef {import('../shared/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('../shared/types.js').BatchEvent} BatchEvent */

/** What the decoder's events say; native/addon/bindings/openai_decoder_wrap.h has the same numbers. */
const DecodedKind = Object.freeze({
  DELTA: 1,
  FINISH: 2,
  USAGE: 3,
  ERROR: 4,
  DONE: 5,
  MALFORMED: 6,
});
const kStride = 3;

const kEventBytesMax = 1024 * 1024;

// Once every request has its finish reason, only the token counts are still worth a short wait.
const kUsageWaitMs = 2000;

/** One request's share of a call. */
export class Answer {
  /**
   * @param {number} index the caller's index of the request
   * @param {number} [maxTokens]
   */
  constructor(index, maxTokens = Infinity) {
    this.index = index;
    this.maxTokens = maxTokens;
    /** Pieces of text handed out. */
    this.delivered = 0;
    /** @type {'stop' | 'length' | undefined} known once it has ended */
    this.reason = undefined;
    /** The upstream has given its finish reason. */
    this.finished = false;
    /** Nothing more is to be said about it: it has ended, or nobody wants it any more. */
    this.settled = false;
  }
}

/** The reason for closing a call that nobody waits for any more: it is no failure. */
const kNotWanted = Symbol('not wanted');

/**
 * @typedef {object} AnswerStreamOptions
 * @property {() => UpstreamCall} createCall
 * @property {(call: UpstreamCall) => Promise<{contentType: string}>} open sends the request
 * @property {readonly Answer[]} answers by the upstream's index
 * @property {readonly (AbortSignal | undefined)[]} signals one aborted ends all
 * @property {readonly (AbortSignal | undefined)[]} answerSignals by the upstream's index: one
 *   aborted settles that answer without a word
 * @property {readonly string[]} secrets never quoted
 */

export class AnswerStream {
  #options;
  #answers;
  #secrets;
  #unsettled;
  /** @type {UpstreamCall | undefined} */
  #call;
  /** @type {ProviderEnd['usage']} */
  #usage;
  #complete = false; // The upstream has nothing more to say.

  /** @param {AnswerStreamOptions} options */
  constructor(options) {
    this.#options = options;
    this.#answers = options.answers;
    this.#unsettled = options.answers.length;
    this.#secrets = options.secrets;
  }

  /**
   * Makes the call and yields its items until every answer is settled. Reads only when asked for
   * an item it does not have. A failure of the upstream becomes one error item for each answer it
   * concerns; only the reason of an aborted signal is thrown.
   * @returns {AsyncGenerator<BatchEvent, void, undefined>}
   */
  async *items() {
    const call = this.#options.createCall();
    this.#call = call;
    const forget = this.#heedSignals(call);
    /** @type {BatchEvent | undefined} */
    let last;
    /** @type {unknown} */
    let failure;
    try {
      const decode = this.#decoderFor(call, await this.#options.open(call));
      while (!this.#complete && last === undefined) {
        const events = await decode();
        for (let i = 0; i < events.length && !call.over && last === undefined; i += kStride) {
          const item = this.#take(events[i], events[i + 1], events[i + 2]);
          if (item === undefined) continue;
          // The consumer may not come back after the last item: it waits until all is tidied up.
          if (this.#unsettled === 0) last = item;
          else yield item;
        }
        if (last === undefined) call.throwIfDestroyed();
      }
    } catch (error) {
      failure = error;
    } finally {
      forget();
      if (this.#complete || this.#answers.every(({ finished }) => finished)) call.finish();
      else call.destroy(kNotWanted);
    }
    if (last !== undefined) yield last;
    if (failure === kNotWanted) return;
    if (failure !== undefined && !(failure instanceof ProviderError)) throw failure;
    yield* this.#ends(failure);
  }

  /** Closes the call at once, whatever `items` waits for; `items` then ends quietly. */
  stop() {
    this.#call?.destroy(kNotWanted);
  }

  /**
   * @param {UpstreamCall} call
   * @returns {() => void} to be called when the signals are of no interest any more
   */
  #heedSignals(call) {
    const { signals, answerSignals } = this.#options;
    const forget = [
      ...signals.map((signal) => onAbort(signal, (reason) => call.destroy(reason))),
      ...answerSignals.map((signal, index) =>
        onAbort(signal, () => {
          this.#settle(this.#answers[index]);
          if (this.#unsettled === 0) call.destroy(kNotWanted);
        }),
      ),
    ];
    return () => forget.forEach((each) => each());
  }

  /**
   * How to get the next events out of a body of this type.
   * @param {UpstreamCall} call
   * @param {{contentType: string}} response
   * @returns {() => Promise<any[]>}
   */
  #decoderFor(call, { contentType }) {
    const decoder = new native.OpenAiDecoder(this.#answers.length, kEventBytesMax);
    if (contentType === 'application/json') {
      // The upstream does not stream: its whole answer has the members of a chunk.
      return async () => {
        const events = [...decoder.push(await readWholeAsEvent(call)), ...decoder.end()];
        if (events.length === 0) throw invalidResponse('JSON that is no completion');
        this.#complete = true;
        return events;
      };
    }
    // A missing type is forgiven: the decoder will tell.
    if (contentType !== '' && contentType !== 'text/event-stream') {
      throw contentTypeError(contentType, this.#secrets);
    }
    let usageDeadlineMs = Infinity;
    return async () => {
      if (this.#answers.every((answer) => answer.settled || answer.finished)) {
        usageDeadlineMs = Math.min(usageDeadlineMs, performance.now() + kUsageWaitMs);
      }
      const bytes = await call.read(Math.max(1, usageDeadlineMs - performance.now()));
      if (bytes !== null) return decoder.push(bytes);
      this.#complete = true;
      return decoder.end();
    };
  }

  /** @param {Answer} answer */
  #settle(answer) {
    if (answer.settled) return;
    answer.settled = true;
    this.#unsettled -= 1;
  }

  /**
   * @param {number} kind
   * @param {number} index the upstream's
   * @param {any} value
   * @returns {BatchEvent | undefined}
   */
  #take(kind, index, value) {
    switch (kind) {
      case DecodedKind.DELTA:
        return this.#takeText(this.#answers[index], value);
      case DecodedKind.FINISH:
        this.#answers[index].reason = value;
        this.#answers[index].finished = true;
        // The counts that may follow are for the whole call, so they say nothing of one of many.
        return this.#answers.length > 1 ? this.#end(this.#answers[index]) : undefined;
      case DecodedKind.USAGE:
        this.#usage = { prompt_tokens: value[0], completion_tokens: value[1] };
        return undefined;
      case DecodedKind.ERROR:
        throw reportedError(value[0], value[2], this.#secrets);
      case DecodedKind.MALFORMED:
        throw invalidResponse(`malformed data: ${value}`);
      default:
        this.#complete = true;
        return undefined;
    }
  }

  /**
   * @param {Answer} answer
   * @param {string} text
   * @returns {BatchEvent | undefined}
   */
  #takeText(answer, text) {
    if (answer.settled) return undefined;
    if (answer.delivered >= answer.maxTokens) {
      // The upstream does not keep to the limit that it was told.
      answer.reason = 'length';
      return this.#end(answer);
    }
    answer.delivered += 1;
    return { index: answer.index, text };
  }

  /**
   * @param {Answer} answer
   * @returns {BatchEvent | undefined}
   */
  #end(answer) {
    if (answer.settled) return undefined;
    this.#settle(answer);
    /** @type {ProviderEnd} */
    const end = { reason: answer.reason };
    if (this.#answers.length === 1 && this.#usage) end.usage = this.#usage;
    return { index: answer.index, end };
  }

  /**
   * Whatever is not settled when the call is over.
   * @param {ProviderError | undefined} failure
   * @returns {Generator<BatchEvent, void, undefined>}
   */
  *#ends(failure) {
    for (const answer of this.#answers) {
      if (answer.settled) continue;
      if (answer.reason !== undefined) {
        // Nothing that goes wrong after a finish reason takes it back.
        const item = this.#end(answer);
        if (item) yield item;
        continue;
      }
      this.#settle(answer);
      const error = errorForAnswer(failure ?? incompleteError(), answer.delivered);
      yield { index: answer.index, error };
    }
  }
}

/**
 * The whole body as one server-sent event.
 * @param {UpstreamCall} call
 */
async function readWholeAsEvent(call) {
  /** @type {Buffer[]} */
  const pieces = [Buffer.from('data: ')];
  let bytes = 0;
  for (let piece; (piece = await call.read()) !== null;) {
    bytes += piece.length;
    if (bytes > kEventBytesMax) throw invalidResponse('an answer that exceeds the size limit');
    pieces.push(piece);
  }
  const event = Buffer.concat(pieces);
  // Line ends separate JSON's tokens only: within its strings they are escaped.
  for (let i = 0; i < event.length; i += 1) {
    if (event[i] === 0x0a || event[i] === 0x0d) event[i] = 0x20;
  }
  return event;
}

/**
 * Calls `listener` with the reason once `signal` aborts, at once if it has.
 * @param {AbortSignal | undefined} signal
 * @param {(reason: unknown) => void} listener
 * @returns {() => void} to be called when it is of no interest any more
 */
function onAbort(signal, listener) {
  if (signal === undefined) return () => {};
  const listen = () => listener(abortReason(signal));
  if (!signal.aborted) return whenAborted(signal, listen);
  listen();
  return () => {};
}
