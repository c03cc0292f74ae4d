/**
 * `sluice logs` in a process of its own, which tells its greatest resident memory at the end.
 *
 * Usage: node logs-case.mjs FILE. Prints what `sluice logs FILE --json` does; kilobytes on stderr.
 */
import { flags, parsing, run } from '../../../lib/cli/logs.js';
import { parseFlags } from '../../../lib/cli/flags.js';

process.exitCode = await run(parseFlags(flags, [process.argv[2], '--json'], parsing));
process.stderr.write(String(process.resourceUsage().maxRSS));
