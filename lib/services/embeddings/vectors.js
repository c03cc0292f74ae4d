/** Vectors in the two encodings of the embeddings API, and counts shared out. Pure functions. */

/** A vector: numbers, or base64 of float32 in little-endian order. @typedef {number[] | string} Vector */

/**
 * @param {Vector} vector
 * @param {'float' | 'base64'} encoding
 * @returns {Vector}
 */
export function encoded(vector, encoding) {
  if (encoding === 'base64') {
    if (typeof vector === 'string') return vector;
    const bytes = Buffer.alloc(4 * vector.length);
    vector.forEach((value, i) => bytes.writeFloatLE(value, 4 * i));
    return bytes.toString('base64');
  }
  if (typeof vector !== 'string') return vector;
  const bytes = Buffer.from(vector, 'base64');
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(4 * i));
}

/**
 * Shares a count out by weight: the parts sum to it, unless each getting at least 1 takes more.
 * @param {number} total
 * @param {readonly number[]} weights above 0, at least one
 * @returns {number[]}
 */
export function shareOut(total, weights) {
  const spare = Math.max(0, total - weights.length);
  const sum = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map((weight) => (spare * weight) / sum);
  const parts = exact.map(Math.floor);
  let rest = spare - parts.reduce((a, b) => a + b, 0);
  // The largest fractions get what rounding down has left.
  const order = exact.map((part, i) => i).sort((a, b) => (exact[b] % 1) - (exact[a] % 1) || a - b);
  for (const i of order) {
    if (rest <= 0) break;
    parts[i] += 1;
    rest -= 1;
  }
  return parts.map((part) => part + 1);
}
