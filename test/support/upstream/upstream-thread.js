/** The thread of upstream-thread.mjs, and a provider that calls it. */
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { cleanUp } from '../gateway/gateway.js';
import { providers } from '../../../lib/index.js';

/** `stopAll` ends the thread. */
export async function upstreamThread() {
  const worker = new Worker(new URL('./upstream-thread.mjs', import.meta.url));
  cleanUp(() => worker.terminate());
  const [{ port }] = await once(worker, 'message');
  const baseUrl = `http://127.0.0.1:${port}`;
  return { worker, provider: providers.openai({ baseUrl, model: 'm', client: 'native' }) };
}
