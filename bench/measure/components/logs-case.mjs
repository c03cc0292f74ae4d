/**
 * `sluice logs` in a separate process, which reports its peak resident memory at the end.
 *
 * Usage: node logs-case.mjs FILE. Prints the output of `sluice logs FILE --json`; kilobytes on stderr.
 */
import { flags, parsing, run } from '../../../lib/cli/logs.js';
import { parseFlags } from '../../../lib/cli/flags.js';

process.exitCode = await run(parseFlags(flags, [process.argv[2], '--json'], parsing));
process.stderr.write(String(process.resourceUsage().maxRSS));
