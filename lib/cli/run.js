/** `sluice run`: sends a file of prompts through the gateway; results keep the order of the input. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { open } from 'node:fs/promises';
import { UsageError, configFlag, describeFlags, outputFlag } from './flags.js';
import {
  createGateway,
  gatewayFlags,
  providerFlags,
  routeMembers,
  splitMembers,
} from './provider-flags.js';
import { createProgress } from './progress-bar.js';
import { INTERRUPTED, openOutput, watchInterrupts } from './output.js';

/** Flags of the gateway that matter without readers over HTTP. */
const GATEWAY_FLAGS = [
  ...['max-concurrency', 'max-batch-size', 'idle-flush-ms', 'max-wait-ms', 'incoming-capacity'],
  ...['processing-capacity', 'retry-attempts', 'retry-base-ms', 'retry-cap-ms', 'reactors'],
  'max-wall-ms',
];

/** Default of --max-wall-ms: a batch run may take longer than a request of a page. */
const WALL_MS_DEFAULT = 3_600_000;

/** @type {import('./flags.js').Flags} */
export const flags = {
  ...outputFlag,
  ...providerFlags,
  ...Object.fromEntries(GATEWAY_FLAGS.map((name) => [name, gatewayFlags[name]])),
  'max-wall-ms': {
    ...gatewayFlags['max-wall-ms'],
    default: WALL_MS_DEFAULT,
    defaultText: undefined,
    help: 'time limit of one prompt, waiting included',
  },
  ...configFlag,
};

export const summary = 'run a file of prompts and write their results';

export const help = `Usage: sluice run FILE.jsonl [options]

Each line of FILE (- is standard input) is a prompt: a JSON string, or an object with the fields
of POST /v1/jobs and, if wanted, an id. Results are JSON lines in the order of the input:
{"index", "id", "text", "reason", "usage", "metrics"}, or with "error" in place of "reason".
The exit code is 1 if any prompt failed.

${describeFlags(flags)}
`;

/**
 * @param {string} line
 * @returns {{id: unknown, request: any}}
 */
function parseLine(line) {
  const value = JSON.parse(line);
  if (typeof value === 'string') return { id: undefined, request: { prompt: value } };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SyntaxError('a line must be a string or an object');
  }
  const { id, ...request } = value;
  return { id, request };
}

/**
 * One prompt from its line to its result; never rejects.
 * @param {import('../gateway/gateway.js').Gateway} gateway
 * @param {number} index
 * @param {string} line
 * @param {AbortSignal} signal
 */
async function runLine(gateway, index, line, signal) {
  let id;
  try {
    const parsed = parseLine(line);
    ({ id } = parsed);
    const job = await gateway.submit(parsed.request, { signal });
    let text = '';
    for await (const { type, data } of gateway.stream(job.id)) {
      if (type === 'token') text += data.token;
      else if (type === 'job_retry') text = '';
      else if (type === 'job_complete') {
        const { reason, usage, metrics } = data;
        return { index, id, text, reason, usage, metrics };
      } else if (type === 'job_error') {
        return { index, id, text, error: data.error, metrics: data.metrics };
      } else if (type === 'job_cancelled') {
        const error = { code: 'cancelled', message: 'The run was interrupted.', type: 'cancelled' };
        return { index, id, text, error, metrics: data.metrics };
      }
    }
    throw new Error('the stream ended without a terminal event');
  } catch (/** @type {any} */ error) {
    const code =
      error.wireCode ?? (error instanceof SyntaxError ? 'invalid_json' : 'internal_error');
    return { index, id, text: '', error: { code, message: error.message, type: error.type } };
  }
}

/** @param {string} path */
async function openInput(path) {
  if (path === '-') return process.stdin;
  try {
    const handle = await open(path);
    return createReadStream('', { fd: handle });
  } catch (/** @type {any} */ error) {
    throw new UsageError(`${path} cannot be read (${error.code})`);
  }
}

/**
 * @param {import('../gateway/options.js').GatewayOptions} options
 * @returns {Promise<number>} prompts that the provider processes in parallel
 */
async function slotsOf(options) {
  const { checkGatewayOptions } = await import('../gateway/options.js');
  const { batching, maxConcurrency } = checkGatewayOptions(options);
  return maxConcurrency * batching.maxBatchSize;
}

export const parsing = { positionals: true, members: routeMembers };

/**
 * @param {import('./flags.js').Parsed} parsed
 * @returns {Promise<number>} exit code
 */
export async function run({ positionals, values, members }) {
  if (positionals.length !== 1) throw new UsageError('run takes one FILE.jsonl');
  const input = await openInput(positionals[0]);
  const output = await openOutput(values.output);
  // This process is the only reader, and may wait without limit.
  const own = { admissionWaitMs: 2 ** 31 - 1, retentionMs: 10_000, logger: false };
  const { gateway, options } = await createGateway(
    values,
    /** @type {Partial<import('../gateway/options.js').GatewayOptions>} */ (own),
    splitMembers(members).route,
  );
  const { signal, release } = watchInterrupts(
    () => void gateway.close({ drainMs: 0 }),
    'writing the results so far',
  );
  try {
    const windowMax = 2 * (await slotsOf(options));
    const { total, failed } = await pump(gateway, { input, output, signal, windowMax });
    await output.close();
    if (failed > 0) {
      const prompts = total === 1 ? 'prompt' : 'prompts';
      process.stderr.write(
        `sluice: ${failed} of ${total} ${prompts} failed; see "error" in the results\n`,
      );
    }
    return signal.aborted ? INTERRUPTED : failed > 0 ? 1 : 0;
  } finally {
    release();
    await gateway.close({ drainMs: 0 });
  }
}

/**
 * Keeps enough prompts running to fill every slot, and writes results in the input's order.
 * @param {import('../gateway/gateway.js').Gateway} gateway
 * @param {{input: NodeJS.ReadableStream, output: import('./output.js').Output,
 *   signal: AbortSignal, windowMax: number}} options `windowMax`: prompts running at once
 * @returns {Promise<{total: number, failed: number}>}
 */
async function pump(gateway, { input, output, signal, windowMax }) {
  const progress = createProgress(process.stderr);
  /** @type {Promise<any>[]} in the input's order */
  const underWay = [];
  let index = 0;
  let failed = 0;
  const writeOldest = async () => {
    const result = await underWay.shift();
    if (result.error !== undefined) failed += 1;
    progress.update({ done: result.index + 1, started: index, failed });
    await output.writeLine(result);
  };
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    if (signal.aborted) break;
    if (line.trim() === '') continue;
    underWay.push(runLine(gateway, index, line, signal));
    index += 1;
    if (underWay.length >= windowMax) await writeOldest();
  }
  while (underWay.length > 0) await writeOldest();
  progress.end();
  return { total: index, failed };
}
