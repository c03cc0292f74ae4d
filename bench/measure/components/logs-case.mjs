/**
 * `sluice logs` in a process of its own, which tells its greatest resident memory at the end.
 *
 * Usage: node logs-case.mjs FILE. Prints what `sluice logs FILE --json` does; kilobytes on stderr.
 */
import { run } from '../../../lib/cli/logs.js';

process.exitCode = await run([process.argv[2], '--json']);
process.stderr.write(String(process.resourceUsage().maxRSS));
