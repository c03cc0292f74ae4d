/** `sluice crawl`: writes a site's pages as JSON lines. */
import { UsageError, configFlag, describeFlags, outputFlag } from './flags.js';
import { headersOf } from './headers.js';
import { createProgress } from './progress-bar.js';
import { INTERRUPTED, openOutput, watchInterrupts } from './output.js';

/** @type {import('./flags.js').Flags} */
export const flags = {
  limit: { type: 'integer', min: 1, max: 10_000, default: 100, help: 'maximum number of pages' },
  depth: {
    type: 'integer',
    max: 1000,
    default: 10,
    help: 'links between the first page and the last',
  },
  concurrency: { type: 'integer', min: 1, max: 64, default: 4, help: 'concurrent requests' },
  'per-host-per-second': {
    type: 'number',
    min: 0.01,
    max: 1000,
    default: 5,
    help: "requests a second, evenly spaced; fewer if the site's robots.txt asks for it",
  },
  'timeout-ms': {
    type: 'integer',
    min: 1,
    max: 600_000,
    default: 10_000,
    help: 'time for one page, from the connection to the last byte',
  },
  sitemaps: {
    type: 'boolean',
    default: false,
    help: 'also fetch the pages listed in the sitemaps of the site',
  },
  include: {
    type: 'string',
    value: 'PATTERN',
    multiple: true,
    help: 'only pages whose path matches this pattern of robots.txt (/blog/*, *.html$); repeatable',
  },
  exclude: {
    type: 'string',
    value: 'PATTERN',
    multiple: true,
    help: 'no pages whose path matches this pattern; repeatable',
  },
  header: {
    type: 'string',
    value: '"NAME: VALUE"',
    multiple: true,
    help: 'a header of each request; repeatable',
  },
  'user-agent': {
    type: 'string',
    value: 'NAME',
    help: 'value of the User-Agent header; default: sluice and its version',
  },
  'allow-private-addresses': {
    type: 'boolean',
    default: false,
    help: 'also connect to private, loopback and link-local addresses',
  },
  ...outputFlag,
  ...configFlag,
};

export const summary = 'crawl a site and write its pages';

export const help = `Usage: sluice crawl URL [options]

Follows the links from URL, breadth first, on the same scheme, host and port, as far as robots.txt
allows. Each URL gives a JSON line: {"url", "status", "title", "text", "depth"} for a page, or one
with "skipped" (the reason) or "error" ({"code", "message"}).
The exit code is 1 if any URL failed; a skipped URL is no failure.

${describeFlags(flags)}
`;

export const parsing = { positionals: true };

/**
 * @param {import('./flags.js').Parsed} parsed
 * @returns {Promise<number>} exit code
 */
export async function run({ positionals, values }) {
  if (positionals.length !== 1) throw new UsageError('crawl takes one URL');
  // Loaded after the check of the flags, so that help and usage errors appear at once.
  const { crawl } = await import('../primitives/crawler/crawl.js');
  const interrupts = watchInterrupts(undefined, 'writing the results so far');
  const crawling = start(crawl, positionals[0], values, interrupts.signal);
  const output = await openOutput(values.output);
  const progress = createProgress(process.stderr);
  try {
    for await (const item of crawling) {
      const { pages, skipped, errors, waiting } = crawling.stats();
      const done = pages + skipped + errors;
      progress.update({ done, started: done + waiting, failed: errors });
      await output.writeLine(item);
    }
  } catch (error) {
    if (!interrupts.signal.aborted) throw error;
  } finally {
    interrupts.release();
    progress.end();
    await output.close();
  }
  if (interrupts.signal.aborted) return INTERRUPTED;
  return crawling.stats().errors > 0 ? 1 : 0;
}

/**
 * @param {typeof import('../primitives/crawler/crawl.js').crawl} crawl
 * @param {string} startUrl
 * @param {Record<string, any>} values of the flags
 * @param {AbortSignal} signal
 */
function start(crawl, startUrl, { output: _, config: __, header = [], ...options }, signal) {
  const headers = headersOf(header);
  try {
    return crawl({ startUrl, ...options, headers, signal });
  } catch (/** @type {any} */ error) {
    // The flags check numbers themselves; errors of other options are mapped to flags here.
    const message = error.message
      .replace(/^startUrl/, 'URL')
      .replace(/^userAgent/, '--user-agent')
      .replace(/^(include|exclude)\[\d+\]/, '--$1')
      .replace(/^headers\.?/, '--header ');
    throw new UsageError(message);
  }
}
