/** `sluice export`: the contents of a data file as JSON lines. */
import { UsageError, describeFlags, outputFlag } from './flags.js';
import { isPartOf } from '../jobs/storage/paths.js';
import { openOutput } from './output.js';

/** @type {import('./flags.js').Flags} */
export const flags = { ...outputFlag };

export const summary = 'export a data file as JSON lines';

export const help = `Usage: sluice export FILE [options]

Exports the data file of "sluice serve --data FILE", one JSON object per line: jobs with their
texts, oldest first, idempotency keys, the ledger's events, then /v1/kv and conversations. Changes
nothing, and works while a server uses the file: the output is a consistent snapshot. Amounts may exceed
2^53 and are strings.

${describeFlags(flags)}
`;

export const parsing = { positionals: true };

/**
 * @param {import('./flags.js').Parsed} parsed
 * @returns {Promise<number>} exit code
 */
export async function run({ positionals, values }) {
  if (positionals.length !== 1) throw new UsageError('export takes one FILE');
  const { exported } = await import('../jobs/storage/export.js');
  const lines = exported(positionals[0]);
  const { output: path } = values;
  if (path !== undefined && isPartOf(positionals[0], path)) {
    throw new UsageError(`--output ${path} is part of the data file, which it would overwrite`);
  }
  // An unreadable data file must not overwrite an existing output file.
  let next = lines.next();
  const output = await openOutput(path);
  for (; !next.done; next = lines.next()) await output.writeLine(next.value);
  await output.close();
  return 0;
}
