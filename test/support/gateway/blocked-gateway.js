/**
 * A worker thread with a gateway, whose JavaScript can be made to stand still: `block` is a shared
 * Int32Array; while its first element is 1 after a job was begun, the thread waits.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createGateway, providers } from '../../../lib/index.js';

const { baseUrl, client, shared } = workerData;
const block = new Int32Array(shared);
const provider = providers.openai({ baseUrl, client });
const gateway = createGateway({ provider, logger: false });
const { url } = await gateway.listen();
parentPort?.on('message', () => {
  Atomics.store(block, 0, 1);
  parentPort?.postMessage('blocked');
  Atomics.wait(block, 0, 1);
  parentPort?.postMessage('free');
});
parentPort?.postMessage(url);
