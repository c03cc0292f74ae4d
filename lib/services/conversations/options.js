/** The option `conversations` of `createGateway`: its limits, checked and filled in. */
import { checkInteger, checkMs } from '../../internal/util/validate.js';

/**
 * @typedef {object} ConversationLimits
 * @property {number} maxPerPrincipal conversations of one principal
 * @property {number} maxBytesEach of the messages of one, as JSON. A turn that fits is taken, however
 *   long its answer becomes
 * @property {number} maxBytesPerPrincipal of all that is kept for one principal
 * @property {number} maxBytes of all principals together
 * @property {number} ttlMs how long a conversation is kept after its last turn, unless it says;
 *   Infinity: until it is deleted
 * @property {number} maxQueued turns that wait for one conversation
 * @property {number} queueWaitMs how long each of them waits at most, in real time
 */

const MIB = 2 ** 20;
/** A century. */
const TTL_MS_MAX = 100 * 365 * 24 * 3600 * 1000;

/** @type {readonly (keyof ConversationLimits)[]} */
export const conversationOptions = Object.freeze([
  'maxPerPrincipal',
  'maxBytesEach',
  'maxBytesPerPrincipal',
  'maxBytes',
  'ttlMs',
  'maxQueued',
  'queueWaitMs',
]);

/**
 * @param {Partial<ConversationLimits>} given
 * @returns {ConversationLimits}
 * @throws {TypeError | RangeError}
 */
export function checkConversationLimits(given) {
  /**
   * @param {Exclude<keyof ConversationLimits, 'ttlMs' | 'queueWaitMs'>} name
   * @param {{min?: number, max?: number, fallback: number}} range
   */
  const size = (name, range) => checkInteger(`conversations.${name}`, given[name], range);
  return {
    maxPerPrincipal: size('maxPerPrincipal', { max: 10_000, fallback: 1000 }),
    maxBytesEach: size('maxBytesEach', { max: 64 * MIB, fallback: MIB }),
    maxBytesPerPrincipal: size('maxBytesPerPrincipal', { fallback: 64 * MIB }),
    maxBytes: size('maxBytes', { fallback: 256 * MIB }),
    ttlMs: checkMs('conversations.ttlMs', given.ttlMs, {
      min: 1,
      max: TTL_MS_MAX,
      fallback: Infinity,
      infinite: true,
    }),
    maxQueued: size('maxQueued', { min: 0, max: 10_000, fallback: 100 }),
    queueWaitMs: checkMs('conversations.queueWaitMs', given.queueWaitMs, { fallback: 120_000 }),
  };
}

/**
 * @param {ConversationLimits} limits
 * @returns {import('../../primitives/kv/options.js').KvPartitionLimits}
 */
export function areaLimits({ maxBytes, maxBytesPerPrincipal }) {
  const any = Number.MAX_SAFE_INTEGER;
  return {
    ...{ maxBytes, maxBytesPerPrincipal },
    ...{ maxKeys: any, maxKeysPerPrincipal: any, maxPinnedBytes: any },
    // Those of one value are the book's to see to.
    ...{ maxKeyBytes: 64, maxValueBytes: any },
  };
}
