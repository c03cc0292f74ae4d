import { randomBytes } from 'node:crypto';
import { providerError } from './failure.js';
import { readYielded } from './yielded.js';

/** @typedef {import('../../streams/types.js').EntryInput} EntryInput */
/** @typedef {import('./yielded.js').CallPiece} CallPiece */

/** Maximum characters that wait for the end of a call. */
const HELD_CHARS_MAX = 2 ** 20;

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** @returns {string} an id in OpenAI's format */
function newId() {
  const chars = Array.from(randomBytes(24), (byte) => ALPHANUMERIC[byte % ALPHANUMERIC.length]);
  return `call_${chars.join('')}`;
}

/** @param {string} text @returns {boolean} whether it ends with the first half of a surrogate pair */
function endsInHalf(text) {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}

/** Whether JSON text that arrives in pieces is complete. */
class JsonProgress {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #begun = false;

  get whole() {
    return this.#begun && this.#depth === 0 && !this.#inString;
  }

  /** @param {string} text */
  add(text) {
    for (const char of text) {
      if (this.#escaped) this.#escaped = false;
      else if (this.#inString) {
        if (char === '\\') this.#escaped = true;
        else if (char === '"') this.#inString = false;
      } else this.#structure(char);
    }
  }

  /** @param {string} char outside strings */
  #structure(char) {
    if (char === '"') this.#inString = true;
    else if (char === '{' || char === '[') this.#depth += 1;
    else if (char === '}' || char === ']') this.#depth -= 1;
    if (!/\s/.test(char)) this.#begun = true;
  }
}

function tooMuchHeld() {
  const call = 'a tool_call whose name or arguments were not whole';
  return providerError(`The provider yielded over ${HELD_CHARS_MAX} characters after ${call}.`);
}

/** A tool call, with the parts that the provider has yielded so far. */
class Call {
  /** Id given by the provider. @type {string | undefined} */
  id;
  /** @type {string | undefined} */
  name;
  /** Whether its first entry is written. */
  isOpen = false;
  /** Whether its last entry is written. */
  isOver = false;
  /** Whether any arguments are written. */
  hasArguments = false;
  /** Unwritten arguments. */
  held = '';
  #json = new JsonProgress();

  /** Whether another entry may follow it: its name is known, and its arguments are complete JSON. */
  get whole() {
    return this.name !== undefined && this.#json.whole;
  }

  /** @param {CallPiece} piece */
  add({ id, name, arguments: given = '' }) {
    this.id ??= id;
    this.name ??= name;
    if (this.isOver) {
      if (given.trim() === '') return;
      throw providerError(
        `The provider went on with the call of ${this.name} after its arguments were whole.`,
      );
    }
    this.held += given;
    this.#json.add(given);
    if (this.held.length > HELD_CHARS_MAX) throw tooMuchHeld();
  }
}

/** @param {EntryInput | Call} item @returns {number} number of characters that it holds */
const charsOf = (item) =>
  item instanceof Call ? item.held.length : item.text.length + (item.aux?.length ?? 0);

/**
 * Converts the values that a provider yields for one answer into entries of its log. Tool calls get ids and
 * never interleave: while the arguments of one are incomplete JSON, everything else waits. A call without
 * arguments gets `{}`. Halves of surrogate pairs wait for each other, per kind and call.
 *
 * One per attempt. Main thread only.
 */
export class AnswerEntries {
  #append;
  /** The call that is being written, or waits for its name. @type {Call | undefined} */
  #current;
  /** Items that wait for it. @type {(EntryInput | Call)[]} */
  #waiting = [];
  /** Number of characters in the waiting items. */
  #waitingChars = 0;
  /** The latest call of each index or id. @type {Map<number | string, Call> | undefined} */
  #calls;
  /** @type {Call | undefined} */
  #last;
  /** Ids of the calls in the log. @type {Set<string> | undefined} */
  #ids;
  /** First halves of surrogate pairs, by kind. @type {Map<string, string> | undefined} */
  #halves;

  /** @param {(entry: EntryInput) => void} append called with the entries in order */
  constructor(append) {
    this.#append = append;
  }

  /** Whether the answer has tool calls. */
  get hasCalls() {
    return this.#last !== undefined;
  }

  /**
   * @param {unknown} value
   * @throws {import('../../internal/util/errors.js').SluiceError} that names the fault
   */
  push(value) {
    // Most answers are plain text.
    const isPlain = this.#current === undefined && !this.#halves?.size;
    if (typeof value === 'string' && isPlain && !endsInHalf(value)) {
      if (value !== '') this.#append({ kind: 'text', text: value });
      return;
    }
    const piece = typeof value === 'string' ? { kind: 'text', text: value } : readYielded(value);
    if ('call' in piece) this.#addToCall(piece.call);
    else this.#place(/** @type {EntryInput} */ (piece));
  }

  /**
   * Writes all waiting items.
   * @throws {import('../../internal/util/errors.js').SluiceError} for a call without a name
   */
  end() {
    while (this.#current !== undefined || this.#waiting.length > 0) {
      const call = this.#current;
      if (call !== undefined && call.name === undefined) {
        throw providerError('The provider yielded a tool_call without a name.');
      }
      this.endCall();
      this.#advance();
    }
    for (const [kind, text] of this.#halves ?? []) {
      this.#append({ kind: /** @type {EntryInput['kind']} */ (kind), text });
    }
    this.#halves = undefined;
  }

  /** Ends the call that is being written, if any: missing arguments become `{}`. */
  endCall() {
    const call = this.#current;
    this.#current = undefined;
    if (call?.isOpen !== true) return;
    call.isOver = true;
    const half = this.#halves?.get('tool_arguments');
    this.#halves?.delete('tool_arguments');
    if (half !== undefined) this.#append({ kind: 'tool_arguments', text: half });
    else if (!call.hasArguments) this.#append({ kind: 'tool_arguments', text: '{}' });
  }

  /** @param {EntryInput} entry any entry except a call */
  #place(entry) {
    if (this.#current === undefined) {
      this.#write(entry);
      return;
    }
    this.#waiting.push(entry);
    this.#hold(charsOf(entry));
    this.#advance();
  }

  /** @param {CallPiece} piece */
  #addToCall(piece) {
    const known = this.#find(piece);
    const call = known ?? new Call();
    call.add(piece);
    this.#last = call;
    const calls = (this.#calls ??= new Map());
    for (const key of [piece.index, piece.id]) if (key !== undefined) calls.set(key, call);
    if (call.isOver) return;
    if (known === undefined) this.#waiting.push(call);
    if (call === this.#current) this.#writeCall(call);
    else this.#hold(piece.arguments?.length ?? 0);
    this.#advance();
  }

  /**
   * @param {CallPiece} piece
   * @returns {Call | undefined} undefined: it begins a call
   */
  #find({ index, id, name }) {
    if (index !== undefined) {
      const call = this.#calls?.get(index);
      const other = call?.id !== undefined && id !== undefined && call.id !== id;
      return other ? undefined : call;
    }
    if (id !== undefined) return this.#calls?.get(id);
    return name === undefined ? this.#last : undefined;
  }

  /** @param {number} chars number of characters that wait now */
  #hold(chars) {
    this.#waitingChars += chars;
    if (this.#waitingChars > HELD_CHARS_MAX) throw tooMuchHeld();
  }

  /** Writes waiting items, up to an incomplete call. */
  #advance() {
    while (this.#waiting.length > 0) {
      if (this.#current !== undefined && !this.#current.whole) return;
      this.endCall();
      const item = /** @type {EntryInput | Call} */ (this.#waiting.shift());
      this.#waitingChars -= charsOf(item);
      if (item instanceof Call) {
        this.#current = item;
        this.#writeCall(item);
      } else this.#write(item);
    }
  }

  /** @param {Call} call the current one */
  #writeCall(call) {
    const { name } = call;
    if (name === undefined) return;
    if (!call.isOpen) {
      call.isOpen = true;
      const id = this.#idFor(call);
      this.#append({ kind: 'tool_call', text: id, aux: name });
    }
    const text = call.held;
    call.held = '';
    if (text === '') return;
    call.hasArguments = true;
    this.#write({ kind: 'tool_arguments', text });
  }

  /** @param {Call} call @returns {string} its own id, or a new one if an earlier call has the same */
  #idFor({ id: given }) {
    const ids = (this.#ids ??= new Set());
    const id = given !== undefined && !ids.has(given) ? given : newId();
    ids.add(id);
    return id;
  }

  /** @param {EntryInput} entry */
  #write({ kind, text: given, aux }) {
    if (kind === 'extra') {
      this.#append({ kind, text: given });
      return;
    }
    let text = (this.#halves?.get(kind) ?? '') + given;
    this.#halves?.delete(kind);
    // A lone surrogate has no UTF-8 encoding, so it waits for its other half.
    if (endsInHalf(text)) {
      this.#halves ??= new Map();
      this.#halves.set(kind, text.slice(-1));
      text = text.slice(0, -1);
    }
    if (text === '' && aux === undefined) return;
    this.#append({ kind, text, ...(aux !== undefined && { aux }) });
  }
}
