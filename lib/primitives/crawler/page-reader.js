/**
 * Reads pages and sitemaps without blocking the main thread: short ones at once, long ones in a
 * worker thread that all crawls of the process share. The thread starts with the first long page
 * and ends after a while without one; it does not keep the process alive.
 */
import { Worker } from 'node:worker_threads';

/** Bytes of a page that are read on the main thread: a few milliseconds of work. */
const INLINE_BYTES_MAX = 32 * 1024;
const IDLE_MS = 30_000;

/**
 * @typedef {object} Request
 * @property {'page' | 'sitemap'} task
 * @property {{bytes: Uint8Array}} source
 * @property {(value: any) => void} resolve
 * @property {(error: Error) => void} reject
 */

/** @type {Worker | undefined} */
let worker;
/** Waiting requests; the first one is with the worker. @type {Request[]} */
const requests = [];
/** @type {NodeJS.Timeout | undefined} */
let idleTimer;

function startWorker() {
  const started = new Worker(new URL('./page-worker.js', import.meta.url), {
    execArgv: [],
    name: 'sluice-crawl',
  });
  const fail = (/** @type {Error} */ error) => {
    if (worker !== started) return;
    worker = undefined;
    // Only the page that ended the thread is lost.
    requests.shift()?.reject(error);
    sendFirst();
  };
  started.on('message', (value) => {
    requests.shift()?.resolve(value);
    sendFirst();
  });
  started.on('error', fail);
  started.on('exit', () => fail(new Error('the worker thread ended')));
  return started;
}

/** Sends the first request, or schedules the end of the idle thread. */
function sendFirst() {
  clearTimeout(idleTimer);
  if (requests.length === 0) {
    worker?.unref();
    idleTimer = setTimeout(() => {
      const ended = worker;
      worker = undefined;
      void ended?.terminate();
    }, IDLE_MS).unref();
    return;
  }
  const [{ task, source, reject }] = requests;
  try {
    worker ??= startWorker();
    worker.ref();
    worker.postMessage({ task, source }, [/** @type {ArrayBuffer} */ (source.bytes.buffer)]);
  } catch (error) {
    requests.shift();
    reject(/** @type {Error} */ (error));
    sendFirst();
  }
}

/**
 * @param {Request['task']} task
 * @param {{bytes: Uint8Array}} source
 * @returns {Promise<any>}
 */
function inWorker(task, source) {
  return new Promise((resolve, reject) => {
    requests.push({ task, source, resolve, reject });
    if (requests.length === 1) sendFirst();
  });
}

/**
 * @param {import('./page.js').PageSource} source its buffer may be detached afterwards
 * @returns {Promise<import('./page.js').Page | undefined>} undefined: the bytes are not text
 */
export async function readPage(source) {
  if (source.bytes.length > INLINE_BYTES_MAX) return inWorker('page', source);
  return (await import('./page.js')).readPage(source);
}

/**
 * @param {{bytes: Uint8Array, url: string, origin: string}} source its buffer may be detached afterwards
 * @returns {Promise<import('./sitemap.js').Sitemap>}
 */
export async function readSitemap(source) {
  if (source.bytes.length > INLINE_BYTES_MAX) return inWorker('sitemap', source);
  return (await import('./sitemap.js')).readSitemap(source);
}
