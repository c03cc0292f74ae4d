import { DEFAULT_TYPE, contentOf, mediaTypeOf } from './content.js';
import { READ_BYTES_MAX, READ_CHUNKS_MAX } from './repository.js';
import {
  bodyEmpty,
  contentTypeMismatch,
  epochStartsAtZero,
  limitReached,
  producerGap,
  staleEpoch,
  streamClosed,
  streamGone,
  streamNotFound,
  streamSeqConflict,
  typeMissing,
} from './errors.js';
import { checkBoundary, positionIn, readOf } from './positions.js';
import { checkPath } from './registry.js';
import { checkSettings, expiryOf } from './head.js';
import { following } from './following.js';
import { forkPositionOf, originAt } from './forks.js';
import { parseOffset } from './offsets.js';

/** @typedef {import('../../cluster/durable/shared-durable.js').Outcome} Outcome */
/** @typedef {import('./port.js').DurablePort} DurablePort */
/** @typedef {import('./head.js').Head} Head */
/** @typedef {import('./head.js').Settings} Settings */
/** @typedef {import('./port.js').Read} Read */

/** Number of retries if a source is replaced while it is forked. */
const FORKS_MAX = 10;
const HEAD_ALONE = Object.freeze({ maxBytes: 0, maxChunks: 0 });
const PAGE = Object.freeze({ maxBytes: READ_BYTES_MAX, maxChunks: READ_CHUNKS_MAX });

/**
 * Durable streams of a deployment of several processes, in Redis; the counterpart of `DurableStreams` in one
 * process. Each append is one script with all its checks. Expiry follows Redis's clock. Main thread; `close()` ends
 * it.
 * @implements {DurablePort}
 */
export class SharedDurableStreams {
  #streams;
  #options;

  /**
   * @param {object} deps
   * @param {import('../../cluster/durable/shared-durable.js').SharedDurable} deps.streams
   * @param {import('../../jobs/settings.js').Settings['durable']} deps.options
   */
  constructor({ streams, options }) {
    this.#streams = streams;
    this.#options = options;
  }

  /** Streams of all principals, up to five seconds old. */
  get size() {
    return this.#streams.streams;
  }

  /** @type {DurablePort['create']} */
  async create(principal, path, settings, body) {
    checkPath('path', path);
    for (let left = FORKS_MAX; ; left -= 1) {
      const made = await this.#create(principal, path, settings, body);
      if (made !== undefined) return made;
      if (left === 0) throw streamNotFound('stream-forked-from');
    }
  }

  /**
   * @param {string} principal
   * @param {string} path
   * @param {Settings} settings
   * @param {Buffer} body
   * @returns {Promise<{head: Head, created: boolean} | undefined>} undefined: the source of the fork was replaced
   *   meanwhile
   */
  async #create(principal, path, settings, body) {
    const { closed, ...asked } = settings;
    let origin;
    if (asked.from !== undefined) {
      const there = await this.#streams.read(principal, path, { ...HEAD_ALONE, isAccess: false });
      if (there !== undefined) return found(there.head, settings);
      origin = await this.#originOf(principal, { ...settings, from: asked.from });
    }
    const { source, fields } = origin ?? {};
    const type = settings.type ?? source?.type ?? DEFAULT_TYPE;
    const { ttlMs: idleMs } = this.#options;
    const unset = { ttlMs: idleMs === Infinity ? null : idleMs, expiresMs: null };
    const { content, error } = tried(() => contentOf(type, body, { empty: true }));
    const outcome = await this.#streams.create(principal, path, {
      ...{ limits: this.#limits, type, media: mediaTypeOf(type), asked, closed, content },
      ...{ isBad: error !== undefined, ...expiryOf(settings, source ?? unset) },
      ...(source !== undefined && fields && { origin: { ...fields, ...fields.source } }),
    });
    switch (outcome.status) {
      case 'OK':
        return { head: outcome.head, created: true };
      case 'THERE':
        return found(outcome.head, settings);
      case 'MOVED':
        return undefined;
      default:
        throw this.#refusal(outcome, error);
    }
  }

  /**
   * @param {string} principal
   * @param {Settings & {from: string}} settings
   * @returns {Promise<{source: Head, fields: import('./forks.js').Origin['fields'] & {source: {path: string,
   *   id: number}}}>}
   */
  async #originOf(principal, settings) {
    const { from, at, sub = 0 } = settings;
    checkPath('stream-forked-from', from);
    const chunks = sub === 0 ? HEAD_ALONE : { maxBytes: READ_BYTES_MAX, maxChunks: 1 };
    const page = await this.#streams.read(principal, from, {
      ...{ ...chunks, isAccess: false },
      from: at === undefined ? undefined : parseOffset(at)?.position,
    });
    const { fields, source } = originAt(forkPositionOf(page?.head, settings), {
      isBoundary: page?.isBoundary === true,
      chunk: () => page?.chunks[0],
    });
    return { source, fields: { ...fields, source: { path: from, id: source.id } } };
  }

  /** @type {DurablePort['append']} */
  async append(principal, path, { body, type, seq, close, producer }) {
    checkPath('path', path);
    const hasBody = body.length > 0;
    const { content, error } = tried(() => contentOf(type ?? '', body));
    const outcome = await this.#streams.append(principal, path, {
      ...{
        limits: this.#limits,
        hasBody,
        content,
        isBad: error !== undefined,
        close,
        seq,
        producer,
      },
      ...(type !== undefined && { media: mediaTypeOf(type) }),
    });
    switch (outcome.status) {
      case 'OK':
        return { head: outcome.head, repeated: false, producerSeq: producer?.seq };
      case 'SAME':
        return { head: outcome.head, repeated: true, producerSeq: outcome.producerSeq };
      default:
        throw this.#refusal(outcome, error, producer);
    }
  }

  /** @type {DurablePort['head']} */
  async head(principal, path) {
    checkPath('path', path);
    const page = await this.#streams.read(principal, path, { ...HEAD_ALONE, isAccess: false });
    return required(page).head;
  }

  /** @type {DurablePort['delete']} */
  async delete(principal, path) {
    checkPath('path', path);
    const outcome = await this.#streams.delete(principal, path);
    if (outcome.status !== 'OK') throw this.#refusal(outcome);
  }

  /** @type {DurablePort['read']} */
  async read(principal, path, offset) {
    checkPath('path', path);
    const from = offset === '-1' ? 0 : parseOffset(offset)?.position;
    const page = required(
      await this.#streams.read(principal, path, { ...PAGE, from, isAccess: true }),
    );
    positionIn(page.head, offset);
    checkBoundary(page.head, () => page.isBoundary);
    return readOf(page.head, page.from, page);
  }

  /** @type {DurablePort['next']} */
  async next(principal, path, before, signal) {
    const { waits } = this.#streams;
    const { head, to: from } = before;
    for (;;) {
      // The wait begins before the read, so that it misses no change in between.
      const wait = waits.begin(head, from, signal);
      try {
        if (signal.aborted || waits.isClosed) return nothingAfter(before);
        const page = required(
          await this.#streams.read(principal, path, { ...PAGE, from, isAccess: true }),
        );
        if (page.head.id !== head.id) throw streamNotFound();
        if (page.head.tail > from || page.head.closed) return readOf(page.head, from, page);
        await wait.changed;
      } finally {
        wait.end();
      }
    }
  }

  /** @type {DurablePort['follow']} */
  follow(principal, path, first, signal) {
    const next = (/** @type {Read} */ before) => this.next(principal, path, before, signal);
    return following(first, next, () => signal.aborted || this.#streams.waits.isClosed);
  }

  /** @param {string} principal */
  erase(principal) {
    return this.#streams.clear(principal);
  }

  close() {
    this.#streams.close();
  }

  /** @returns {import('../../cluster/durable/shared-durable.js').StreamLimits} */
  get #limits() {
    const { maxStreams, maxStreamsPerPrincipal, maxBytes, maxBytesPerPrincipal } = this.#options;
    const ofPrincipal = { ownStreams: maxStreamsPerPrincipal, ownBytes: maxBytesPerPrincipal };
    return { streams: maxStreams, bytes: maxBytes, ...ofPrincipal };
  }

  /**
   * @param {Outcome} outcome
   * @param {Error} [bad] fault of the content
   * @param {import('./producers.js').Producer} [producer]
   * @returns {Error}
   */
  #refusal(outcome, bad, producer) {
    switch (outcome.status) {
      case 'NONE':
        return streamNotFound();
      case 'GONE':
        return streamGone();
      case 'CLOSED':
        return streamClosed(outcome.head);
      case 'EMPTY':
        return bodyEmpty();
      case 'UNTYPED':
        return typeMissing();
      case 'MISMATCH':
        return contentTypeMismatch(outcome.detail);
      case 'STALE':
        return staleEpoch(Number(outcome.detail));
      case 'ZERO':
        return epochStartsAtZero();
      case 'GAP':
        return producerGap(Number(outcome.detail), Number(producer?.seq));
      case 'SEQ':
        return streamSeqConflict(outcome.detail);
      case 'FULL':
        return limitReached(outcome.detail, this.#options);
      default:
        return bad ?? new Error(`a script of durable streams answers ${outcome.status}`);
    }
  }
}

/**
 * @param {Head} head head of the existing stream
 * @param {Settings} settings
 */
function found(head, settings) {
  checkSettings(head, settings);
  return { head, created: false };
}

/**
 * @template {{head: Head}} T
 * @param {T | undefined} page
 * @returns {T}
 * @throws {import('../../internal/util/http-error.js').HttpError} 404, 410
 */
function required(page) {
  if (page === undefined) throw streamNotFound();
  if (page.head.deleted) throw streamGone();
  return page;
}

/**
 * @param {() => Buffer} make
 * @returns {{content: Buffer, error?: Error}}
 */
function tried(make) {
  try {
    return { content: make() };
  } catch (/** @type {any} */ error) {
    return { content: Buffer.alloc(0), error };
  }
}

/**
 * @param {Read} before
 * @returns {Read}
 */
function nothingAfter(before) {
  return { ...before, chunks: [], from: before.to };
}
