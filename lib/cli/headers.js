/** Values of `--header`. */
import { UsageError } from './flags.js';

/**
 * @param {string[]} lines `Name: value`
 * @returns {Record<string, string>}
 */
export function headersOf(lines) {
  /** @type {Map<string, string>} */
  const headers = new Map();
  for (const line of lines) {
    const [, name, value] = /^([^:\s]+):[ \t]*(.*)$/s.exec(line) ?? [];
    if (name === undefined) {
      throw new UsageError(`--header takes "NAME: VALUE", not ${JSON.stringify(line)}`);
    }
    if (headers.has(name)) throw new UsageError(`--header ${name} is given twice`);
    headers.set(name, value);
  }
  return Object.fromEntries(headers);
}
