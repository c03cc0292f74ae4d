/**
 * What nodes do: one prompt, a prompt per item of a list, or a crawl. Main thread.
 *
 * Each prompt is a job of the workflow's principal and goes the way of every job; its tokens reach
 * the workflow's log on the reactor. An action ends with what the node gives, or throws.
 */
import { PartError } from '../operations/child-jobs.js';
import { abortReason } from '../../internal/util/errors.js';
import { crawl } from '../../primitives/crawler/crawl.js';
import { crawlEvent, crawlOptions } from '../crawls/request.js';
import { fill } from './template.js';
import { itemText, itemsOf } from './items.js';
import { totalUsage } from './node-state.js';

/** @typedef {import('./node-state.js').NodeState} NodeState */
/** @typedef {import('./node-state.js').NodeOutput} NodeOutput */

/** Prompts that are larger, after what other nodes gave has been filled in, are refused. */
const kPromptCharsMax = 8 * 1024 * 1024;
const kItemsMax = 1000;
const kMapConcurrency = 16;
/** Text that a crawl may gather. */
const kCrawlCharsMax = 32 * 1024 * 1024;
/** Errors of a crawl's first page that stay as they are, however often it is tried. */
const kCrawlFinal = new Set([
  'address_not_allowed',
  'http_status',
  'bad_redirect',
  'redirect_loop',
]);

/**
 * What an action works with.
 * @typedef {object} ActionContext
 * @property {import('../operations/operations.js').Work} work
 * @property {import('../../jobs/admission/admission.js').Submission['access']} access
 * @property {import('../operations/child-jobs.js').Parts} parts
 * @property {import('../../jobs/settings.js').Settings['crawl']} crawl
 * @property {(id: string) => NodeOutput | undefined} outputOf what another node has given; undefined
 *   for one that failed
 * @property {AbortSignal} signal
 */

/**
 * @param {string} code
 * @param {string} message
 */
function unusable(code, message) {
  return new PartError({ code, message, type: 'workflow_error' }, { retryable: false });
}

/**
 * @param {string} template
 * @param {ActionContext} context
 * @param {unknown} [item] of a map
 * @returns {string}
 */
function render(template, { outputOf }, item) {
  // Counted while it is filled: the same text may be asked for many thousand times.
  let chars = template.length;
  const text = fill(template, (path) => {
    const [id, field] = path.split('.');
    const piece = id === 'item' ? itemText(item, field) : (outputOf(id)?.text ?? '');
    chars += piece.length;
    if (chars > kPromptCharsMax) {
      throw unusable('prompt_too_large', `The prompt has more than ${kPromptCharsMax} characters.`);
    }
    return piece;
  });
  if (text === '') throw unusable('prompt_empty', 'Nothing is left of the prompt: it is empty.');
  return text;
}

/**
 * @param {NodeState} node
 * @param {ActionContext} context
 * @param {{prompt?: string, messages?: object[]}} what
 * @param {{item?: number, signal?: AbortSignal}} [options] `item`: its number, from 0
 */
function ask({ id, request }, { work, access, parts, signal: whole }, what, options = {}) {
  const { model, max_tokens, temperature, stop, max_wall_ms } = request;
  const { item, signal = whole } = options;
  return parts.run(
    // What is undefined is left out.
    JSON.parse(JSON.stringify({ ...what, model, max_tokens, temperature, stop, max_wall_ms })),
    { access, signal, copyTo: { handle: work.handle, members: { node: id, item } } },
  );
}

/**
 * @param {NodeState} node
 * @param {ActionContext} context
 * @returns {Promise<NodeOutput>}
 */
async function runPrompt(node, context) {
  const { prompt, messages } = node.request;
  const what =
    prompt === undefined
      ? {
          messages: messages?.map(({ role, content }) => ({
            role,
            content: content === '' ? '' : render(content, context),
          })),
        }
      : { prompt: render(prompt, context) };
  const { text, usage } = await ask(node, context, what);
  return { text, usage };
}

/**
 * What was done in an earlier attempt is kept.
 * @param {NodeState} node
 * @param {ActionContext} context
 * @returns {Promise<NodeOutput>}
 */
async function runMap(node, context) {
  const { over, prompt, concurrency = kMapConcurrency } = /** @type {any} */ (node.request.map);
  const items = itemsOf(context.outputOf(over));
  if (items.length > kItemsMax) {
    throw unusable(
      'too_many_items',
      `${over} gave ${items.length} items; ${kItemsMax} are allowed.`,
    );
  }
  const { results } = node;
  results.length = items.length;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const item = next++;
      if (results[item] !== undefined) continue;
      const what = { prompt: render(prompt, context, items[item]) };
      results[item] = await ask(node, context, what, { item, signal });
      const done = results.filter((result) => result !== undefined).length;
      context.work.emit('node_progress', { node: node.id, item, done, total: items.length });
    }
  };
  /** @type {{error: unknown} | undefined} */
  let failed;
  const workers = Array.from({ length: Math.min(concurrency, items.length) }, () =>
    worker().catch((error) => {
      // One item is needed as much as all: the others need not be paid for.
      failed ??= { error };
      stop.abort();
      next = items.length;
    }),
  );
  await Promise.all(workers);
  if (context.signal.aborted) throw abortReason(context.signal);
  if (failed !== undefined) throw failed.error;
  const texts = results.map((result) => result?.text ?? '');
  return {
    text: texts.join('\n\n'),
    items: texts,
    usage: totalUsage(results.map((result) => result?.usage)),
  };
}

/**
 * The reader of the workflow's stream sets the pace here, too.
 * @param {NodeState} node
 * @param {ActionContext} context
 * @returns {Promise<NodeOutput>}
 */
async function runCrawl({ id, request }, { work, crawl: settings, signal }) {
  const options = crawlOptions(/** @type {any} */ (request.crawl));
  /** @type {import('../../primitives/crawler/crawl.js').CrawlPage[]} */
  const pages = [];
  let chars = 0;
  /** @type {import('../../primitives/crawler/fetch.js').CrawlError | undefined} */
  let firstError;
  for await (const found of crawl({ ...options, ...settings, signal })) {
    const { type, data } = crawlEvent(found);
    if (!work.emit(type, { node: id, ...data })) await work.room();
    if ('error' in found) firstError ??= found.error;
    if (!('text' in found)) continue;
    pages.push(found);
    chars += found.text.length;
    if (chars > kCrawlCharsMax) {
      const message = `The pages have more than ${kCrawlCharsMax} characters; limit fewer.`;
      throw unusable('crawl_too_large', message);
    }
  }
  if (pages.length === 0) {
    const { code, message } = firstError ?? { code: 'no_pages', message: 'No page could be read.' };
    const wire = { code, message, type: 'crawl_error' };
    throw new PartError(wire, { retryable: !kCrawlFinal.has(code) });
  }
  return {
    text: pages.map(({ url, title, text }) => `${title}\n${url}\n\n${text}`).join('\n\n'),
    items: pages,
    usage: totalUsage([]),
  };
}

/**
 * @param {NodeState} node
 * @param {ActionContext} context
 * @returns {Promise<NodeOutput>}
 */
export function runAction(node, context) {
  if (node.type === 'crawl') return runCrawl(node, context);
  if (node.type === 'map') return runMap(node, context);
  return runPrompt(node, context);
}
