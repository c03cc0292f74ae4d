/** `sluice key`: prints a new key and its entry for the configuration. Stores nothing. */
import { UsageError, describeFlags } from './flags.js';
import { findAccessProblem } from '../jobs/policy/config.js';
import { newKey, newKeyId } from '../jobs/policy/new-key.js';

/** @type {import('./flags.js').Flags} */
export const flags = {
  id: { type: 'string', value: 'NAME', defaultText: 'a random name', help: 'name of the key' },
};

export const summary = 'make a key for the configuration of serve';

export const help = `Usage: sluice key [options]

Prints two lines: a new key, for its user, and the entry for "keys" in the file of serve --config. The
key is not stored anywhere.

${describeFlags(flags)}
`;

/**
 * @param {import('./flags.js').Parsed} parsed
 * @returns {Promise<number>} exit code
 */
export async function run({ values }) {
  const { key, sha256 } = newKey();
  const entry = { id: values.id ?? newKeyId(), sha256 };
  const problem = findAccessProblem({ keys: [entry] });
  if (problem !== undefined) throw new UsageError(`--id ${problem.says}`);
  process.stdout.write(`${key}\n${JSON.stringify(entry)}\n`);
  return 0;
}
