/** Port of durable streams for the routes of `/v1/durable`. This file has types only. */

/** @typedef {import('./head.js').Head} Head */
/** @typedef {import('./head.js').Settings} Settings */

/**
 * A request to append, to close, or both.
 * @typedef {object} Append
 * @property {Buffer} body empty: only close
 * @property {string} [type] content type of the body
 * @property {string} [seq] Stream-Seq
 * @property {boolean} close
 * @property {import('./producers.js').Producer} [producer]
 */

/**
 * @typedef {object} Appended
 * @property {Head} head
 * @property {boolean} repeated whether it repeats an earlier request
 * @property {number} [producerSeq] the largest accepted Producer-Seq of the epoch
 */

/**
 * @typedef {object} Read
 * @property {Head} head
 * @property {Buffer[]} chunks of one append each; the first and last may be cut
 * @property {number} from
 * @property {number} to position after the chunks
 * @property {boolean} upToDate whether `to` is the end of the stream
 * @property {boolean} closed whether the stream is closed
 */

/**
 * Streams by principal and path. Answered changes are durable: on the disk, or in Redis.
 * Methods reject with an HttpError: 400, 404, 410 (deleted, with forks), 503 and 507 besides those named.
 * @typedef {object} DurablePort
 * @property {number} size number of streams of all principals, including deleted ones kept for their forks
 * @property {(principal: string, path: string, settings: Settings, body: Buffer) =>
 *   Promise<{head: Head, created: boolean}>} create creates a stream with initial content, or finds one with the
 *   same settings: `created: false`. 409: it exists with other settings
 * @property {(principal: string, path: string, append: Append) => Promise<Appended>} append 403: a producer of an
 *   earlier epoch; 409: the stream is closed, has another content type, or requests are out of order
 * @property {(principal: string, path: string) => Promise<Head>} head
 * @property {(principal: string, path: string) => Promise<void>} delete
 * @property {(principal: string, path: string, offset: string) => Promise<Read>} read reads up to 1 MiB, or one
 *   larger append, from an offset as sent by the client; `-1`: from the beginning; `now`: no data before the end
 * @property {(principal: string, path: string, before: Read, signal: AbortSignal) => Promise<Read>} next waits for
 *   the data after a read; returns without data if the stream is closed, the signal is aborted, or the gateway
 *   closes
 * @property {(principal: string, path: string, first: Read, signal: AbortSignal) => AsyncGenerator<Read>} follow
 *   returns a read and all later ones, up to the end of the stream
 * @property {(principal: string) => void | Promise<void>} erase deletes all streams of a principal
 * @property {() => void} close ends all waits and timers
 */

export {};
