/** The worker thread of page-reader.js: one source at a time, answered by its page or sitemap. */
import { parentPort } from 'node:worker_threads';
import { readPage } from './page.js';
import { readSitemap } from './sitemap.js';

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);

port.on('message', async ({ task, source }) => {
  port.postMessage(await (task === 'page' ? readPage(source) : readSitemap(source)));
});
