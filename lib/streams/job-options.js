/**
 * @typedef {object} JobOptions
 * @property {string} jobId
 * @property {'cancel' | 'continue'} onDisconnect
 * @property {number} disconnectGraceMs
 * @property {number} maxWallMs
 * @property {number} [promptTokens] reported where the provider counts none; default 0
 * @property {number} [retentionMs] from its end to its purge; default: the hub's
 * @property {import('./types.js').JobKind} [kind] default `job`
 * @property {import('./types.js').CopyTarget} [copyTo]
 * @property {number} [record] its number in the store; default 0: not recorded
 */

/**
 * @param {JobOptions} options
 * @returns {object} as native/addon/bindings/streams/hub_arguments.h reads them
 */
export function nativeOptions({
  jobId,
  onDisconnect,
  disconnectGraceMs,
  maxWallMs,
  promptTokens = 0,
  retentionMs = -1,
  kind = 'job',
  copyTo,
  record = 0,
}) {
  return {
    jobId,
    cancelOnDisconnect: onDisconnect === 'cancel',
    disconnectGraceMs,
    maxWallMs,
    promptTokens,
    retentionMs,
    kind,
    record,
    copyTo: copyTo?.handle ?? 0,
    // Without its braces: the token joins them.
    copyMembers: copyTo === undefined ? '' : JSON.stringify(copyTo.members).slice(1, -1),
  };
}
