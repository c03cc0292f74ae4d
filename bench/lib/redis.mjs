/** A Redis for one peer, without a file. */
import { which } from '../../scripts/lib/run.mjs';
import { freePort, startServer } from './processes.mjs';

/** @returns {string | undefined} the reason if it is missing */
export function missingRedis() {
  return which('redis-server') === undefined ? 'redis-server is not installed' : undefined;
}

/** @returns {Promise<{url: string, server: import('./processes.mjs').ServerProcess}>} */
export async function startRedis() {
  const port = await freePort();
  const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = await startServer(['redis-server', ...options], { port, isHttp: false });
  return { url: `redis://127.0.0.1:${port}`, server };
}
