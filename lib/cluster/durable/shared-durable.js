import { spaceOf } from '../../primitives/kv/namespaces.js';
import { StreamWaits } from './stream-waits.js';

/** Streams that one script deletes. */
const CLEARED_AT_ONCE = 100;
/** Interval at which a process looks for expired streams; changes delete them as well. */
const SWEEP_MS = 5000;

/** The order of the fields of a head in the answers of scripts: `durable_shown` of fragments/durable.lua. */
const FIELDS = /** @type {const} */ ([
  ...['id', 'space', 'path', 'origin', 'type', 'media', 'asked', 'ttl_ms', 'expires_ms'],
  ...['deadline_ms', 'inherited', 'base', 'tail', 'source', 'forks', 'closed', 'closed_by'],
  ...['deleted', 'seq', 'charged'],
]);

/**
 * A stream without its data.
 * @typedef {object} StreamHead
 * @property {number} id names its data, never reused
 * @property {number} space of its offsets: its own id, or that of the stream at the root of its forks
 * @property {string} type content type
 * @property {any} asked settings that it was created with
 * @property {number | null} ttlMs
 * @property {number | null} expiresMs Unix time of Redis, like all `*Ms` but `ttlMs`
 * @property {number | null} deadlineMs
 * @property {{id: number, from: number, to: number}[]} inherited parts that a fork inherits, in order
 * @property {number} base position of its first own byte
 * @property {number} tail position after its last byte
 * @property {number} forks number of its forks
 * @property {boolean} closed
 * @property {boolean} deleted deleted, but kept for its forks
 */

/** @typedef {{streams: number, ownStreams: number, bytes: number, ownBytes: number}} StreamLimits own: of one
 *   principal */

/**
 * Answers of a script other than OK.
 * @typedef {{status: 'OK' | 'SAME' | 'THERE' | 'CLOSED', head: StreamHead, producerSeq?: number} |
 *   {status: 'NONE' | 'GONE' | 'EMPTY' | 'UNTYPED' | 'ZERO' | 'BAD' | 'MOVED'} |
 *   {status: 'MISMATCH' | 'STALE' | 'GAP' | 'SEQ' | 'FULL', detail: string}} Outcome
 */

/** @typedef {{head: StreamHead, from: number, isBoundary: boolean, to: number, chunks: Buffer[]}} StreamPage */

/** @param {string} text @returns {number | null} */
const numberOrNull = (text) => (text === '' ? null : Number(text));

/** @param {number | null} value */
const textOf = (value) => (value === null ? '' : String(value));

/**
 * @param {Buffer[]} values of FIELDS
 * @returns {StreamHead}
 */
function headOf(values) {
  const fields = /** @type {Record<typeof FIELDS[number], string>} */ (
    Object.fromEntries(FIELDS.map((name, i) => [name, String(values[i])]))
  );
  const inherited = fields.inherited
    .split(' ')
    .filter(Boolean)
    .map((part) => {
      const [id, from, to] = part.split(':').map(Number);
      return { id, from, to };
    });
  return {
    ...{ id: Number(fields.id), space: Number(fields.origin), type: fields.type },
    ...{ asked: JSON.parse(fields.asked), inherited },
    ttlMs: numberOrNull(fields.ttl_ms),
    expiresMs: numberOrNull(fields.expires_ms),
    deadlineMs: numberOrNull(fields.deadline_ms),
    ...{ base: Number(fields.base), tail: Number(fields.tail), forks: Number(fields.forks) },
    ...{ closed: fields.closed !== '', deleted: fields.deleted !== '' },
  };
}

/**
 * @param {any[]} answer of a script
 * @returns {Outcome}
 */
function outcomeOf([word, detail, producerSeq]) {
  const status = /** @type {any} */ (String(word));
  if (Array.isArray(detail)) {
    const seq = producerSeq === undefined ? '' : String(producerSeq);
    return { status, head: headOf(detail), ...(seq !== '' && { producerSeq: Number(seq) }) };
  }
  return { status, ...(detail !== undefined && { detail: String(detail) }) };
}

/**
 * The durable streams of a deployment, in Redis: each call is one script. Main thread; `close()` ends its timer
 * and all waits. Methods throw an HttpError: 503 `storage_unavailable`, 507 `insufficient_storage`.
 */
export class SharedDurable {
  #calls;
  #sweeping;
  /** Totals of the last read. */
  #streams = 0;
  /** Reads under way, shared by equal ones. @type {Map<string, Promise<StreamPage | undefined>>} */
  #reads = new Map();

  /**
   * @param {object} deps
   * @param {import('../client/script-calls.js').ScriptCalls} deps.calls
   * @param {import('./stream-waits.js').Channels} deps.channels
   */
  constructor({ calls, channels }) {
    this.#calls = calls;
    this.waits = new StreamWaits({ channels, look: (ids) => this.#look(ids) });
    this.#sweeping = setInterval(() => void this.sweep().catch(() => {}), SWEEP_MS).unref();
  }

  /** Streams of all principals, up to five seconds old. */
  get streams() {
    return this.#streams;
  }

  /**
   * @param {string} principal
   * @param {string} path
   * @param {object} request
   * @param {StreamLimits} request.limits
   * @param {string} request.type
   * @param {string} request.media `type` without parameters, in lower case
   * @param {object} request.asked kept as JSON
   * @param {number | null} request.ttlMs
   * @param {number | null} request.expiresMs
   * @param {boolean} request.closed
   * @param {Buffer} request.content
   * @param {boolean} request.isBad the content is refused with BAD if there is no stream yet
   * @param {object} [request.origin] of a fork
   * @param {number} request.origin.id of the source
   * @param {string} request.origin.path of the source
   * @param {number} request.origin.space
   * @param {StreamHead['inherited']} request.origin.inherited
   * @param {number} request.origin.base
   * @returns {Promise<Outcome>} OK; THERE, the stream exists; BAD; MOVED, the path of the source has another stream
   *   now; FULL
   */
  async create(principal, path, { limits, type, media, asked, ttlMs, expiresMs, ...request }) {
    const { closed, content, isBad, origin } = request;
    const inherited = origin?.inherited.map(({ id, from, to }) => `${id}:${from}:${to}`).join(' ');
    return this.#change('create', principal, path, [
      ...[limits.streams, limits.ownStreams, limits.bytes, limits.ownBytes].map(String),
      ...[type, media, JSON.stringify(asked), textOf(ttlMs), textOf(expiresMs)],
      ...[closed ? '1' : '', content, isBad ? '1' : '', origin?.id ?? '', origin?.path ?? ''],
      ...[origin?.space ?? '', inherited ?? '', origin?.base ?? ''],
    ]);
  }

  /**
   * @param {string} principal
   * @param {string} path
   * @param {object} request
   * @param {StreamLimits} request.limits
   * @param {string} [request.media] media type of the body
   * @param {boolean} request.hasBody
   * @param {Buffer} request.content
   * @param {boolean} request.isBad the content is refused with BAD if all other checks pass
   * @param {boolean} request.close
   * @param {string} [request.seq]
   * @param {{id: string, epoch: number, seq: number}} [request.producer]
   * @returns {Promise<Outcome>} see scripts/durable/append.lua
   */
  async append(principal, path, { limits, media, hasBody, content, isBad, close, seq, producer }) {
    return this.#change('append', principal, path, [
      ...[String(limits.bytes), String(limits.ownBytes), media ?? '', hasBody ? '1' : ''],
      ...[content, isBad ? '1' : '', close ? '1' : '', seq === undefined ? '' : `=${seq}`],
      ...[producer?.id ?? '', producer?.epoch ?? '', producer?.seq ?? ''],
    ]);
  }

  /**
   * @param {string} principal
   * @param {string} path
   * @returns {Promise<Outcome>} OK, NONE or GONE; OK has no head
   */
  delete(principal, path) {
    return this.#change('delete', principal, path, []);
  }

  /**
   * Reads the head of a stream, and data from a position on. Readers that wake at the same time share one equal
   * read; a read that joined later could miss data that another process has already acknowledged.
   * @param {string} principal
   * @param {string} path
   * @param {object} page
   * @param {number} [page.from] default: the end
   * @param {number} page.maxBytes limit of bytes,
   * @param {number} page.maxChunks and of appends, except for one larger append; 0: the head alone
   * @param {boolean} page.isAccess whether the read restarts the time to live
   * @returns {Promise<StreamPage | undefined>} undefined: no such stream. There is no data if `from` is
   *   after the end, or the stream was deleted
   */
  read(principal, path, { from, maxBytes, maxChunks, isAccess }) {
    const space = spaceOf(principal);
    const args = [space, path, from ?? '', maxBytes, maxChunks, isAccess ? 1 : 0];
    const key = JSON.stringify(args);
    const known = this.#reads.get(key);
    if (known !== undefined) return known;
    const read = this.#read(space, args);
    this.#reads.set(key, read);
    process.nextTick(() => this.#reads.delete(key));
    return read;
  }

  /**
   * @param {string} space
   * @param {(string | number)[]} args
   * @returns {Promise<StreamPage | undefined>}
   */
  async #read(space, args) {
    const answer = await this.#run('read', [`durables:${space}`], args);
    const [word, head, from, isBoundary, to, ...chunks] = answer;
    if (String(word) === 'NONE') return undefined;
    return {
      ...{ head: headOf(head), from: Number(from), isBoundary: String(isBoundary) === '1' },
      ...{ to: Number(to), chunks },
    };
  }

  /**
   * Deletes all streams of a principal.
   * @param {string} principal
   */
  async clear(principal) {
    const space = spaceOf(principal);
    for (let count = 1; count > 0;) {
      const answer = await this.#run('clear', [`durables:${space}`], [space, CLEARED_AT_ONCE]);
      count = Number(answer[1]);
    }
  }

  /** Deletes expired streams, and counts the others. */
  async sweep() {
    const MOST = 1000;
    for (let count = MOST; count === MOST;) {
      const answer = await this.#run('sweep', ['durable'], [MOST]);
      count = Number(answer[1]);
      this.#streams = Number(answer[2]);
    }
    return this.#streams;
  }

  /**
   * @param {number[]} ids
   * @returns {Promise<(number | undefined)[]>} the end of each; undefined: closed, deleted or expired
   */
  async #look(ids) {
    const [, ...tails] = await this.#run('wait', ['durable'], ids);
    return tails.map((tail) => (String(tail) === '-' ? undefined : Number(tail)));
  }

  /**
   * @param {string} script
   * @param {string} principal
   * @param {string} path
   * @param {(string | number | Buffer)[]} more
   * @returns {Promise<Outcome>}
   */
  async #change(script, principal, path, more) {
    const space = spaceOf(principal);
    return outcomeOf(await this.#run(script, [`durables:${space}`], [space, path, ...more]));
  }

  /**
   * @param {string} script
   * @param {string[]} keys
   * @param {(string | number | Buffer)[]} args
   * @returns {Promise<any[]>}
   */
  #run(script, keys, args) {
    return this.#calls.run(`durable/${script}`, keys, args, { bytes: true });
  }

  close() {
    clearInterval(this.#sweeping);
    this.waits.close();
  }
}
