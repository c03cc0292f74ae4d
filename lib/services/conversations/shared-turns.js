import { setTimeout as sleep } from 'node:timers/promises';
import { SharedTurnQueues } from './shared-turn-queues.js';
import { TurnMoved, draining } from '../../jobs/errors.js';
import { answerOf, sent, stored, wholeRequest } from './messages.js';
import { checkPlace, messagesOfTurn } from './requests.js';
import { conversationBusy, conversationNotFound, conversationTooLong, fullBy } from './errors.js';
import { isConversationId } from './repository.js';
import { withHistory } from '../../jobs/checked-request.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../jobs/checked-request.js').CheckedRequest} CheckedRequest */
/** @typedef {import('../../jobs/shared-parts.js').SharedPart} SharedPart */
/** @typedef {import('../../internal/util/abort.js').Abortable} Abortable */
/** @typedef {import('../../internal/util/http-error.js').HttpError} HttpError */
/** @typedef {import('./messages.js').StoredMessage} StoredMessage */
/** @typedef {import('../../cluster/shared-conversations.js').SharedConversations} SharedConversations */

/** Maximum interval at which a waiting turn checks whether its conversation is free. */
const LOOK_MS = 250;
const TOO_MANY = 'Too many turns wait for this conversation.';
/** The reason of a wait that took too long. */
const LATE = new Error('too late');
/** Wait before the history of a job that was taken over is read again. */
const AGAIN_MS = 250;

/**
 * The turn of a job that is being admitted.
 * @typedef {object} Turn
 * @property {string} id of the conversation
 * @property {import('./requests.js').Messages} added messages before the answer
 * @property {import('./shared-turn-queues.js').QueuePlace} [place] its place in the queue, with `on_busy: "queue"`
 * @property {{count: number, bytes: number}} [after] the messages of the conversation, and the bytes of
 *   the added ones; undefined: the turn cannot begin
 * @property {HttpError} [error] reason why it cannot begin: thrown unless its idempotency key has an answer
 * @property {boolean} [isBusy] whether another turn runs
 * @property {boolean} [asksKey] the turn does not begin yet: the admission looks for the answer of its key
 */

/**
 * Turns of conversations in a deployment: a turn begins in the script that admits its job, and ends in the script
 * that ends or withdraws it. Main thread; `close()` ends it.
 *
 * The history is read before the admission, which refuses a turn whose conversation has changed since.
 * @implements {SharedPart}
 */
export class SharedTurns {
  name = /** @type {const} */ ('turn');
  #conversations;
  #limits;
  #queues;
  /** Turns of jobs that are being admitted. @type {Map<JobRecord, Turn>} */
  #turns = new Map();
  /** Jobs whose keys have no answer. @type {WeakSet<JobRecord>} */
  #unanswered = new WeakSet();
  #isClosed = false;

  /**
   * @param {object} deps
   * @param {SharedConversations} deps.conversations
   * @param {import('./repository.js').ConversationLimits} deps.limits
   */
  constructor({ conversations, limits }) {
    this.#conversations = conversations;
    this.#limits = limits;
    this.#queues = new SharedTurnQueues(limits);
  }

  // ---------------------------------------------------------------- before the admission

  /**
   * Prepares the turn of a job that belongs to a conversation; called again after each `TurnMoved`. The caller
   * calls `decided` in the end.
   * @param {JobRecord} record receives its whole request, and the conversation's id in `extra`
   * @param {Abortable} [signal] gives up waiting
   * @returns {Promise<CheckedRequest>} the request to the provider; the original request if the turn cannot begin
   * @throws {HttpError} see `begin` of `Turns`
   */
  async begin(record, signal) {
    const request = /** @type {CheckedRequest} */ (record.request);
    const { conversation_id: id } = request;
    if (id === undefined) return request;
    this.checkOpen();
    signal?.throwIfAborted();
    if (this.#asksKey(record, request)) {
      this.#turns.set(record, { id, added: messagesOfTurn(request), asksKey: true });
      return request;
    }
    const turn = this.#turns.get(record) ?? this.#enter(record, id, request, signal);
    if (turn === undefined) throw await this.#busyNow(record.principal, id, TOO_MANY);
    const history = await this.#prepare(record, turn).catch(async (error) => {
      throw error === LATE ? await this.#busyNow(record.principal, id) : error;
    });
    signal?.throwIfAborted();
    if (history === undefined) return request;
    record.request = wholeRequest(request, history, turn.added);
    record.extra = { ...record.extra, conversation_id: id };
    return record.request;
  }

  /**
   * A request with the key of an existing job gets its answer even if the queue is full.
   * @param {JobRecord} record
   * @param {CheckedRequest} request
   */
  #asksKey(record, { on_busy: onBusy }) {
    const isFirst = !this.#turns.has(record) && !this.#unanswered.has(record);
    return isFirst && record.usedKey !== undefined && onBusy === 'queue';
  }

  /**
   * @param {JobRecord} record
   * @param {string} id
   * @param {CheckedRequest} request
   * @param {Abortable} [signal]
   * @returns {Turn | undefined} undefined: too many turns wait
   */
  #enter(record, id, request, signal) {
    /** @type {Turn} */
    const turn = { id, added: messagesOfTurn(request) };
    if (request.on_busy === 'queue' && this.#limits.maxQueued > 0 && isConversationId(id)) {
      const name = `${id} ${record.principal}`;
      if (this.#queues.full(name)) return undefined;
      turn.place = this.#queues.join(name, {
        ...{ signal, late: () => LATE },
        watch: (wake) => this.#conversations.watch(id, wake),
      });
    }
    this.#turns.set(record, turn);
    return turn;
  }

  /**
   * @param {string} principal
   * @param {string} id
   * @param {string} [message]
   * @returns {Promise<HttpError>} error with the job of the running turn
   */
  async #busyNow(principal, id, message) {
    const found = await this.#conversations.history(principal, id);
    const job = 'refused' in found && found.refused === 'busy' ? found.job : undefined;
    return conversationBusy(job, message);
  }

  /**
   * @param {JobRecord} record
   * @param {Turn} turn
   * @returns {Promise<StoredMessage[] | undefined>} the history; undefined: the turn cannot begin, and the
   *   admission of the job returns its error, or the answer of its key
   * @throws {HttpError} that error, if there is no key
   */
  async #prepare({ principal, usedKey }, turn) {
    const { place, id } = turn;
    for (;;) {
      if (place !== undefined) {
        place.isTaking = false;
        await place.first();
        if (turn.isBusy) await place.pause(LOOK_MS);
      }
      const history = await this.#look(principal, id, turn);
      if (turn.error === undefined) {
        if (place !== undefined) place.isTaking = true;
        return history;
      }
      if (usedKey !== undefined) return undefined;
      if (!turn.isBusy || place === undefined) throw turn.error;
    }
  }

  /**
   * @param {string} principal
   * @param {string} id
   * @param {Turn} turn receives the current state
   * @returns {Promise<StoredMessage[] | undefined>} undefined if the turn has an error
   */
  async #look(principal, id, turn) {
    /** @type {Awaited<ReturnType<SharedConversations['history']>>} */
    const found = isConversationId(id)
      ? await this.#conversations.history(principal, id)
      : { refused: 'gone' };
    Object.assign(turn, { error: undefined, isBusy: false, after: undefined });
    if (!('refused' in found)) {
      turn.error = this.#problemOf(found, turn);
      return turn.error === undefined ? found.messages : undefined;
    }
    turn.error = conversationNotFound();
    if (found.refused === 'busy') this.#setBusy(turn, found.job);
    return undefined;
  }

  /**
   * @param {Turn} turn
   * @param {string} job of the turn that runs
   */
  #setBusy(turn, job) {
    turn.error = conversationBusy(job);
    turn.isBusy = true;
  }

  /**
   * @param {{messages: StoredMessage[], bytes: number}} history
   * @param {Turn} turn
   * @returns {HttpError | undefined}
   */
  #problemOf({ messages: { length: count }, bytes }, turn) {
    const { added } = turn;
    try {
      checkPlace(added, count);
    } catch (/** @type {any} */ error) {
      return error;
    }
    const createdAt = Math.floor(this.#conversations.nowMs() / 1000);
    const size = Buffer.byteLength(JSON.stringify({ createdAt, messages: added }));
    const { maxBytesEach } = this.#limits;
    if (bytes + size > maxBytesEach) return conversationTooLong(maxBytesEach);
    turn.after = { count, bytes: size };
    return undefined;
  }

  /** Nothing to undo: the script that withdraws the job ends its turn. */
  rollback() {}

  /** @param {JobRecord} record whose admission has an outcome */
  decided(record) {
    const place = this.#turns.get(record)?.place;
    this.#turns.delete(record);
    if (place !== undefined) this.#queues.leave(place);
  }

  // ---------------------------------------------------------------- as a part of its job

  /** @param {JobRecord} record */
  ask(record) {
    const turn = this.#turns.get(record);
    if (turn === undefined) return undefined;
    if (turn.after === undefined) return { refused: '1' };
    const { maxBytesPerPrincipal, maxBytes } = this.#limits;
    const jobId = record.id;
    return {
      conversation: turn.id,
      count: String(turn.after.count),
      // Redis adds the time.
      asked: turn.added.map((message) =>
        JSON.stringify(stored(message, /** @type {any} */ ({ jobId }))),
      ),
      bytes: String(turn.after.bytes),
      ...{ of_principal: String(maxBytesPerPrincipal), total: String(maxBytes) },
    };
  }

  /**
   * @param {JobRecord} record
   * @param {{word: string, job?: any, limit?: any}} refusal of `turn_check`
   * @returns {Error}
   */
  refused(record, { word, job, limit }) {
    const turn = /** @type {Turn} */ (this.#turns.get(record));
    if (turn.asksKey === true) {
      this.#unanswered.add(record);
      this.#turns.delete(record);
      return new TurnMoved();
    }
    if (word === 'BUSY') this.#setBusy(turn, job);
    const waits = turn.isBusy === true && turn.place !== undefined;
    if (word === 'CHANGED' || waits) return new TurnMoved();
    if (word === 'FULL') return fullBy(limit, this.#limits);
    return turn.error ?? conversationNotFound();
  }

  /** @param {JobRecord} record */
  settles({ extra }) {
    return extra?.conversation_id === undefined ? undefined : /** @type {const} */ ('answer');
  }

  /**
   * @param {JobRecord} record
   * @param {import('../../streams/types.js').JobState} state with the answer, and its items if it is more than text
   */
  settle(record, state) {
    // A turn whose submission was refused is dropped, even if its job has produced an answer.
    if (record.refused) return undefined;
    const answer = answerOf(state);
    if (answer === undefined) return undefined;
    const { content, ...details } = answer;
    const message = { role: 'assistant', content, jobId: record.id, ...details };
    return { answer: JSON.stringify(message) };
  }

  /**
   * Loads the history of another process's job, which Redis stores only in the conversation.
   * @param {JobRecord} record that is to be run
   * @returns {Promise<boolean>} false: its conversation no longer exists
   */
  async complete(record) {
    const id = record.extra?.conversation_id;
    while (
      typeof id === 'string' &&
      record.request?.left_out !== undefined &&
      !record.abort.aborted
    ) {
      try {
        const found = await this.#conversations.history(record.principal, id, record.id);
        if ('refused' in found) return false;
        record.request = withHistory(record.request, found.messages.map(sent));
      } catch (/** @type {any} */ error) {
        if (error.status === undefined) throw error;
        await sleep(AGAIN_MS, undefined, { ref: false });
      }
    }
    return true;
  }

  // ---------------------------------------------------------------- as `Turns`

  /** The script that ends a job also ends its turn. */
  end() {}

  /** Resolves at once: the turn of an ended job has ended. */
  async jobSettled() {}

  /** @throws {HttpError} 503 once it is closed */
  checkOpen() {
    if (this.#isClosed) throw draining();
  }

  /** Refuses new turns and rejects waiting ones. */
  close() {
    this.#isClosed = true;
    this.#queues.close(draining);
  }

  /** Resolves at once, like `jobSettled`. */
  async idle() {}
}
