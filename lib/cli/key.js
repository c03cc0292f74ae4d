/** `sluice key`: a new key, and its entry for the configuration. Nothing is stored. */
import { createHash, randomBytes } from 'node:crypto';
import { UsageError, describeFlags, parseFlags } from './flags.js';
import { findAccessProblem } from '../jobs/policy/config.js';

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

/** Random bytes in a key. */
const KEY_BYTES = 32;

/**
 * @param {string[]} argv
 * @returns {Promise<number>} exit code
 */
export async function run(argv) {
  const { help: wantsHelp, values } = parseFlags(flags, argv);
  if (wantsHelp) {
    process.stdout.write(help);
    return 0;
  }
  // The prefix makes a key recognizable to people and to scanners for leaked secrets.
  const key = `sluice_${randomBytes(KEY_BYTES).toString('base64url')}`;
  const id = values.id ?? `key_${randomBytes(4).toString('hex')}`;
  const entry = { id, sha256: createHash('sha256').update(key).digest('hex') };
  const problem = findAccessProblem({ keys: [entry] });
  if (problem !== undefined) throw new UsageError(`--id ${problem.says}`);
  process.stdout.write(`${key}\n${JSON.stringify(entry)}\n`);
  return 0;
}
