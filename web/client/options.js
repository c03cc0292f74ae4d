/** Checks of the options that callers give. */

/**
 * Refuses options that nothing reads: a misspelt one would be lost without a word.
 * @template {object} T
 * @param {string} subject what takes them
 * @param {T} options
 * @param {readonly string[]} known
 * @returns {T}
 * @throws {TypeError} naming the option and those that there are
 */
export function checkOptions(subject, options, known) {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return options;
  throw new TypeError(`${subject} has no option ${unknown}; it takes ${known.join(', ')}`);
}
