/** Medians of runs. */

/** @param {number[]} values not empty */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The median of each member, over runs of the same measurement; of counts that must be zero, the largest.
 * @template {Record<string, number>} T
 * @param {T[]} samples
 * @returns {T}
 */
export function medians(samples) {
  const worst = new Set(['failed', 'silent', 'lost', 'doubled', 'wrong_ids', 'endings']);
  const members = Object.keys(samples[0]).map((name) => {
    const values = samples.map((sample) => sample[name]);
    if (name === 'open') return [name, Math.min(...values)];
    return [name, worst.has(name) ? Math.max(...values) : median(values)];
  });
  return Object.fromEntries(members);
}
