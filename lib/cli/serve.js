/** `sluice serve`: the HTTP server and its page, until a signal ends it. */
import { configFlag, describeFlags, parseFlags, providerFlags } from './flags.js';
import { createGateway } from './provider.js';

/** @type {import('./flags.js').Flags} */
const flags = {
  port: { type: 'integer', max: 65_535, fallback: 8080, help: '0 picks a free one' },
  host: { type: 'string', value: 'NAME', fallback: '127.0.0.1', help: 'address to listen on' },
  ...providerFlags,
  'admission-wait-ms': {
    type: 'integer',
    fallback: 1000,
    help: 'how long a prompt waits for room before it is refused with 503',
  },
  'drain-ms': {
    type: 'integer',
    fallback: 10_000,
    help: 'how long running jobs may go on after SIGTERM or SIGINT',
  },
  ...configFlag,
};

export const summary = 'serve the HTTP API and the demo page';

export const help = `Usage: sluice serve [options]

Serves the HTTP API and the demo page. Prints "listening on URL" when ready; logs go to stderr.
SIGTERM or SIGINT drains and exits with 0, a second one exits at once.
An API key for --provider openai is read from OPENAI_API_KEY.

${describeFlags(flags)}
`;

/** How long the process may take to end by itself once everything is closed. */
const kExitGraceMs = 1000;

/**
 * Resolves when the first signal has arrived.
 * @returns {Promise<void>}
 */
function signalled() {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (/** @type {string} */ _name, /** @type {number} */ number) => {
      signals += 1;
      if (signals > 1) process.exit(128 + number);
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/**
 * @param {string[]} argv
 * @returns {Promise<number>} exit code
 */
export async function run(argv) {
  const parsed = parseFlags(flags, argv);
  if (parsed.help) {
    process.stdout.write(help);
    return 0;
  }
  const { values } = parsed;
  const gateway = await createGateway(values, {
    admissionWaitMs: values.admissionWaitMs,
    metrics: { processDefaults: true },
  });
  const stop = signalled();
  try {
    const server = await gateway.listen({ port: values.port, host: values.host });
    // Whoever started us may read this one line and close the pipe.
    process.stdout.on('error', () => {});
    process.stdout.write(`listening on ${server.url}\n`);
  } catch (error) {
    await gateway.close({ drainMs: 0 });
    throw error;
  }
  await stop;
  await gateway.close({ drainMs: values.drainMs });
  // Nothing should be left to wait for; if something is, that must not keep a deployment waiting.
  setTimeout(() => process.exit(0), kExitGraceMs).unref();
  return 0;
}
