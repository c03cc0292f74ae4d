/** Checks of the options that callers give. */

/**
 * Refuses unknown options, because a misspelt one would be ignored silently.
 * @template {object} T
 * @param {string} subject name of the receiver
 * @param {T} options
 * @param {readonly string[]} known
 * @returns {T}
 * @throws {TypeError} naming the option and the known options
 */
export function checkOptions(subject, options, known) {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return options;
  throw new TypeError(`${subject} has no option ${unknown}; it takes ${known.join(', ')}`);
}
