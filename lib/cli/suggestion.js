/** "Did you mean": the known name nearest to a mistyped one. */
import { closestMatch } from 'leven';

/** Maximum edit distance of a typing mistake, per character of the name, and in total. */
const DIFFERENCES_PER_CHARACTER = 0.4;
const DIFFERENCES_MAX = 3;

/** @param {string} name `maxBatchSize`, `max_batch_size` and `max-batch-size` are one */
function normalized(name) {
  return name.replace(/[-_]/g, '').toLowerCase();
}

/**
 * @param {string} name unknown
 * @param {readonly string[]} known
 * @returns {string | undefined} one of `known`, or undefined when none is near
 */
export function suggestion(name, known) {
  const wanted = normalized(name);
  const byName = new Map(known.map((one) => [normalized(one), one]));
  const maxDistance = Math.min(
    DIFFERENCES_MAX,
    Math.ceil(wanted.length * DIFFERENCES_PER_CHARACTER),
  );
  const near = closestMatch(wanted, [...byName.keys()], { maxDistance });
  if (near !== undefined) return byName.get(near);
  // A truncated name: --max-batch for --max-batch-size.
  const longer = [...byName.keys()].filter((one) => one.startsWith(wanted));
  return wanted !== '' && longer.length === 1 ? byName.get(longer[0]) : undefined;
}
