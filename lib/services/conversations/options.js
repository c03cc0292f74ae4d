/** Limits of conversations. */

/**
 * The option `conversations` of `createGateway`, checked.
 * @typedef {import('../../jobs/settings.js').Settings['conversations']} ConversationLimits
 */

/**
 * @param {ConversationLimits} limits
 * @returns {import('../../primitives/kv/options.js').KvPartitionLimits}
 */
export function areaLimits({ maxBytes, maxBytesPerPrincipal }) {
  const any = Number.MAX_SAFE_INTEGER;
  return {
    ...{ maxBytes, maxBytesPerPrincipal },
    ...{ maxKeys: any, maxKeysPerPrincipal: any, maxPinnedBytes: any },
    // The repository limits the size of one conversation.
    ...{ maxKeyBytes: 64, maxValueBytes: any },
  };
}
