/**
 * @typedef {object} JobOptions
 * @property {string} jobId
 * @property {'cancel' | 'continue'} onDisconnect
 * @property {number} disconnectGraceMs
 * @property {number} maxWallMs
 * @property {number} [promptTokens] reported if the provider does not count them; default 0
 * @property {number} [retentionMs] from its end to its purge; default: the hub's
 * @property {import('./types.js').JobKind} [kind] default `job`
 * @property {import('./types.js').CopyTarget} [copyTo]
 * @property {boolean} [whole] the log always keeps its beginning; at 64 MiB the job ends as complete, with the
 *   reason `length`. Default false
 * @property {boolean} [announce] the hub emits `begun` at its first entry; default false
 * @property {number} [record] its number in the store; default 0: not recorded
 * @property {'state' | 'answer'} [settles] with Redis: the hub emits `ending`, with only the state or with
 *   the answer as well, and writes the ending after a call of `settle`. Default: it does not wait
 */

/**
 * Options for converting a replica to a job of this process, after Redis has named this process as its owner.
 * `attempt`: the attempt owned by this process; a later one than that of the log begins. `skipIds`: ids skipped
 * before the next terminal event, 2^32 to end an attempt that another process may still write to;
 * default 0. `maxWallMs` counts from now.
 * @typedef {JobOptions & {record: number, attempt: number, skipIds?: number}} AdoptOptions
 */

/** Bits of the native options, see native/addon/bindings/streams/hub_arguments.cc. */
const CANCEL = 1;
const WHOLE = 2;
const ANNOUNCE = 4;
const SETTLES = 8;
const SETTLES_ANSWER = 16;

/**
 * @param {JobOptions} options
 * @returns {any[]} an array in the format of native/addon/bindings/streams/hub_arguments.h: the native side reads
 *   an index faster than a name
 */
export function nativeOptions(options) {
  const { jobId, kind = 'job', promptTokens = 0, retentionMs = -1, record = 0, copyTo } = options;
  const flags =
    (options.onDisconnect === 'cancel' ? CANCEL : 0) |
    (options.whole === true ? WHOLE : 0) |
    (options.announce === true ? ANNOUNCE : 0) |
    (options.settles === undefined ? 0 : SETTLES) |
    (options.settles === 'answer' ? SETTLES_ANSWER : 0);
  return [
    jobId,
    kind,
    flags,
    options.disconnectGraceMs,
    options.maxWallMs,
    promptTokens,
    retentionMs,
    record,
    copyTo?.handle ?? 0,
    // Without its braces, because the entry's members are added.
    copyTo === undefined ? '' : JSON.stringify(copyTo.members).slice(1, -1),
  ];
}
