/** A load whose streams are all open before a request or measurement. */
import { join } from 'node:path';
import { binaries } from './setups.mjs';
import { collect } from './processes.mjs';

/**
 * Opens streams, and waits until all are open, without a time limit: the load client
 * reports the end.
 * @param {{server: import('./processes.mjs').ServerProcess, load: string[]}} target
 * @param {{streams: number, rampMs: number, measureMs: number}} plan
 * @returns {Promise<{ended: Promise<unknown>}>} `ended`: settles once the load client has ended
 * @throws {Error} when fewer could be opened
 */
export async function openStreams({ server, load }, { streams, rampMs, measureMs }) {
  let onOpen = (/** @type {number} */ _open) => {};
  /** @type {Promise<number>} */
  const opening = new Promise((resolve) => (onOpen = resolve));
  const loading = collect(
    [
      ...[
        join(binaries, 'load_client'),
        '--port',
        String(server.port),
        '--pid',
        String(server.pid),
      ],
      ...['--streams', String(streams), '--ramp-ms', String(rampMs), '--settle-ms', '1000'],
      ...['--measure-ms', String(measureMs), '--announce', '1', ...load],
    ],
    (text) => {
      const open = /^open (\d+)\n/.exec(text);
      if (open !== null) onOpen(Number(open[1]));
    },
  );
  const ended = loading.catch(() => {});
  const opened = await Promise.race([opening, loading.then(() => 0)]);
  if (opened !== streams) throw new Error(`${opened} of ${streams} streams could be opened`);
  return { ended };
}
