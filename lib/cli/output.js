/** The output of a command, a JSON line per result; and the signals that interrupt it. */
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { UsageError } from './flags.js';

/**
 * @typedef {object} Output
 * @property {(value: unknown) => Promise<void>} writeLine resolves when there is room for more
 * @property {() => Promise<void>} close
 */

/**
 * @param {string | undefined} path undefined: standard output
 * @returns {Promise<Output>}
 */
export async function openOutput(path) {
  const stream = path === undefined ? process.stdout : createWriteStream(path);
  try {
    if (stream !== process.stdout) await once(stream, 'open');
  } catch (/** @type {any} */ error) {
    throw new UsageError(`${path} cannot be written (${error.code})`);
  }
  // A reader that closes the pipe (`| head`) causes an error of the output at any time.
  const broken = new Promise((_, reject) => {
    stream.once('error', reject);
  });
  broken.catch(() => {});
  return {
    async writeLine(value) {
      const written = stream.write(`${JSON.stringify(value)}\n`);
      await Promise.race([broken, written || once(stream, 'drain')]);
    },
    async close() {
      if (stream === process.stdout) return;
      stream.end();
      await finished(stream);
    },
  };
}

/** The exit code of an interrupted command. */
export const INTERRUPTED = 130;

/**
 * Prints on stderr the effect of the first Ctrl-C.
 * @param {string} doing
 */
export function noteInterrupt(doing) {
  // The terminal has printed ^C into the line of the progress bar.
  const start = process.stderr.isTTY ? '\n' : '';
  process.stderr.write(`${start}sluice: ${doing}; press Ctrl-C again to quit at once\n`);
}

/**
 * The first SIGINT or SIGTERM makes the command end; a second one ends the process.
 * @param {() => void} [onInterrupt]
 * @param {string} [doing] printed on stderr at the first SIGINT
 * @returns {{signal: AbortSignal, release: () => void}} `signal` is aborted by the first signal
 */
export function watchInterrupts(onInterrupt = () => {}, doing) {
  const controller = new AbortController();
  const listener = (/** @type {NodeJS.Signals} */ name) => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    if (name === 'SIGINT' && doing !== undefined) noteInterrupt(doing);
    controller.abort();
    onInterrupt();
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return {
    signal: controller.signal,
    release() {
      process.off('SIGINT', listener);
      process.off('SIGTERM', listener);
    },
  };
}
