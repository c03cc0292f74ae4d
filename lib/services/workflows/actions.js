/**
 * Actions of nodes: one prompt, a prompt per item of a list, or a crawl. Main thread.
 *
 * Each prompt is an ordinary job of the workflow's principal; the reactor copies its tokens to the
 * workflow's log. An action returns the node's output, or throws.
 */
import { ChildJobError, refusal } from '../operations/child-jobs.js';
import { abortReason } from '../../internal/util/errors.js';
import { crawl } from '../../primitives/crawler/crawl.js';
import { crawlEvent, crawlOptions } from '../crawls/request.js';
import { endpoints } from '../../jobs/policy/config.js';
import { fill, filledLength } from './template.js';
import { itemText, itemsOf } from './items.js';
import { totalUsage } from './node-state.js';

/** @typedef {import('./node-state.js').NodeState} NodeState */
/** @typedef {import('./node-state.js').NodeOutput} NodeOutput */

/** Characters of one call: its prompt, or all its messages together, with every placeholder filled. */
const PROMPT_CHARS_MAX = 8 * 1024 * 1024;
/** Characters that the nodes of one workflow keep together: texts, a map's items, a crawl's pages. */
const KEPT_CHARS_MAX = 64 * 1024 * 1024;
/** Characters of filled prompts that all workflows of one principal hold at once. */
export const PROMPT_CHARS_HELD_MAX = 2 * PROMPT_CHARS_MAX;
const ITEMS_MAX = 1000;
const MAP_CONCURRENCY = 16;
/** Maximum characters of text that a crawl collects. */
const CRAWL_CHARS_MAX = 32 * 1024 * 1024;
/** Errors of a crawl's first page that no retry can resolve. */
const CRAWL_FINAL = new Set([
  'address_not_allowed',
  'http_status',
  'bad_redirect',
  'redirect_loop',
]);

/**
 * Reservations of the limits of a crawl.
 * @typedef {object} WorkReservations
 * @property {(access: import('../../jobs/admission/types.js').Submission['access'], endpoint: string,
 *   covered?: import('../../jobs/rate-limits/reservations.js').Covered) =>
 *   import('../../jobs/job.js').ReservationHold | undefined |
 *   Promise<import('../../jobs/job.js').ReservationHold | undefined>} forWork
 */

/**
 * Dependencies of an action.
 * @typedef {object} ActionContext
 * @property {import('../operations/operation.js').Operation} operation
 * @property {import('../../jobs/admission/types.js').Submission['access']} access
 * @property {import('../operations/child-jobs.js').ChildJobs} parts
 * @property {WorkReservations} reservations
 * @property {import('../../jobs/settings.js').Settings['crawl']} crawl
 * @property {(id: string) => NodeOutput | undefined} outputOf output of another node; undefined for
 *   a failed one
 * @property {import('../../internal/util/keyed-semaphore.js').KeyedSemaphore} prompts characters of
 *   filled prompts that a principal's workflows hold at once
 * @property {(node: NodeState, chars: number) => number} keeps records the characters that a node
 *   keeps now, and returns the sum over the workflow
 * @property {AbortSignal} signal
 */

/**
 * @param {string} code
 * @param {string} message
 */
function unusable(code, message) {
  return new ChildJobError({ code, message, type: 'workflow_error' }, { retryable: false });
}

/**
 * @param {ActionContext} context
 * @param {unknown} [item] of a map
 * @returns {(path: string) => string} returns the text of a placeholder
 */
function pieceOf({ outputOf }, item) {
  return (path) => {
    const [id, field] = path.split('.');
    return id === 'item' ? itemText(item, field) : (outputOf(id)?.text ?? '');
  };
}

/**
 * @param {string} template
 * @param {(path: string) => string} piece
 * @returns {string}
 */
function render(template, piece) {
  const text = fill(template, piece);
  if (text === '') throw unusable('prompt_empty', 'Nothing is left of the prompt: it is empty.');
  return text;
}

/**
 * Reserves characters for the filled prompts of one call, then runs it. They are measured before
 * any is filled, because a template of a few bytes may name the same long text many thousand times.
 * @template T
 * @param {string[]} templates of the call
 * @param {(path: string) => string} piece
 * @param {ActionContext} context
 * @param {() => Promise<T>} call fills them
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
async function withRoom(templates, piece, context, call, signal = context.signal) {
  let chars = 0;
  for (const template of templates) {
    chars += filledLength(template, (path) => piece(path).length);
    if (chars > PROMPT_CHARS_MAX) {
      const message = `The prompt, or its messages together, have more than ${PROMPT_CHARS_MAX} characters.`;
      throw unusable('prompt_too_large', message);
    }
  }
  const release = await context.prompts.acquire(context.access.principal, chars, signal);
  try {
    return await call();
  } finally {
    release();
  }
}

/**
 * @param {NodeState} node
 * @param {ActionContext} context
 * @param {number} chars new number of characters kept
 */
function keep(node, { keeps }, chars) {
  if (keeps(node, chars) <= KEPT_CHARS_MAX) return;
  const message = `The nodes of this workflow keep more than ${KEPT_CHARS_MAX} characters together.`;
  throw unusable('workflow_too_large', message);
}

/**
 * @param {NodeState} node
 * @param {ActionContext} context
 * @param {{prompt?: string, messages?: object[]}} input
 * @param {{item?: number, signal?: AbortSignal}} [options] `item`: its number, from 0
 */
function ask({ id, request }, { operation, access, parts, signal: whole }, input, options = {}) {
  const { model, max_tokens, temperature, stop, max_wall_ms } = request;
  const { item, signal = whole } = options;
  return parts.run(
    // JSON drops undefined fields.
    JSON.parse(JSON.stringify({ ...input, model, max_tokens, temperature, stop, max_wall_ms })),
    {
      access,
      signal,
      copyTo: { handle: operation.handle, members: { node: id, item } },
      reservation: /** @type {import('../../jobs/rate-limits/reservations.js').WorkReservation} */ (
        operation.reservation
      ),
    },
  );
}

/**
 * @param {NodeState} node
 * @param {ActionContext} context
 * @returns {Promise<NodeOutput>}
 */
async function runPrompt(node, context) {
  const { prompt, messages = [] } = node.request;
  const piece = pieceOf(context);
  const templates = prompt === undefined ? messages.map(({ content }) => content) : [prompt];
  const filled = () => {
    if (prompt !== undefined) return { prompt: render(prompt, piece) };
    return {
      messages: messages.map(({ role, content }) => ({
        role,
        content: content === '' ? '' : render(content, piece),
      })),
    };
  };
  const call = () => ask(node, context, filled());
  const { text, usage } = await withRoom(templates, piece, context, call);
  keep(node, context, text.length);
  return { text, usage };
}

/**
 * Results of an earlier attempt are kept.
 * @param {NodeState} node
 * @param {ActionContext} context
 * @returns {Promise<NodeOutput>}
 */
async function runMap(node, context) {
  const { over, prompt, concurrency = MAP_CONCURRENCY } = /** @type {any} */ (node.request.map);
  const items = itemsOf(context.outputOf(over));
  if (items.length > ITEMS_MAX) {
    throw unusable(
      'too_many_items',
      `${over} gave ${items.length} items; ${ITEMS_MAX} are allowed.`,
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
      const piece = pieceOf(context, items[item]);
      const call = () => ask(node, context, { prompt: render(prompt, piece) }, { item, signal });
      const given = await withRoom([prompt], piece, context, call, signal);
      results[item] = given;
      keep(node, context, node.keptChars + given.text.length);
      const done = results.filter((result) => result !== undefined).length;
      context.operation.emit('node_progress', { node: node.id, item, done, total: items.length });
    }
  };
  /** @type {{error: unknown} | undefined} */
  let failed;
  const workers = Array.from({ length: Math.min(concurrency, items.length) }, () =>
    worker().catch((error) => {
      // One failed item fails the node, so the others are cancelled to save their cost.
      failed ??= { error };
      stop.abort();
      next = items.length;
    }),
  );
  await Promise.all(workers);
  if (context.signal.aborted) throw abortReason(context.signal);
  if (failed !== undefined) throw failed.error;
  const texts = results.map((result) => result?.text ?? '');
  // The texts are kept twice: one by one and joined.
  keep(node, context, 2 * node.keptChars);
  return {
    text: texts.join('\n\n'),
    items: texts,
    usage: totalUsage(results.map((result) => result?.usage)),
  };
}

/**
 * A crawl counts against the limits like a prompt, except for tokens.
 * @param {NodeState} node
 * @param {ActionContext} context
 * @returns {Promise<NodeOutput>}
 */
async function runCrawl(node, context) {
  const covered = context.operation.reservation?.lend();
  let reservation;
  try {
    reservation = await context.reservations.forWork(context.access, endpoints.workflows, covered);
  } catch (error) {
    covered?.giveBack(false);
    throw refusal(error);
  }
  try {
    return await crawled(node, context);
  } finally {
    await reservation?.settle(0);
    covered?.giveBack(true);
  }
}

/**
 * The slowest reader of the workflow's stream sets the pace of the crawl.
 * @param {NodeState} node
 * @param {ActionContext} context
 * @returns {Promise<NodeOutput>}
 */
async function crawled(node, context) {
  const { id, request } = node;
  const { operation, crawl: settings, signal } = context;
  const options = crawlOptions(/** @type {any} */ (request.crawl));
  /** @type {import('../../primitives/crawler/items.js').CrawlPage[]} */
  const pages = [];
  let chars = 0;
  /** @type {import('../../primitives/crawler/fetch.js').CrawlError | undefined} */
  let firstError;
  for await (const found of crawl({ ...options, ...settings, signal })) {
    const { type, data } = crawlEvent(found);
    if (!operation.emit(type, { node: id, ...data })) await operation.room();
    if ('error' in found) firstError ??= found.error;
    if (!('text' in found)) continue;
    pages.push(found);
    chars += found.text.length + found.title.length + found.url.length;
    keep(node, context, chars);
    if (chars > CRAWL_CHARS_MAX) {
      const message = `The pages have more than ${CRAWL_CHARS_MAX} characters; limit fewer.`;
      throw unusable('crawl_too_large', message);
    }
  }
  if (pages.length === 0) {
    const { code, message } = firstError ?? { code: 'no_pages', message: 'No page could be read.' };
    const wire = { code, message, type: 'crawl_error' };
    throw new ChildJobError(wire, { retryable: !CRAWL_FINAL.has(code) });
  }
  // The pages are kept twice: one by one and joined.
  keep(node, context, 2 * chars);
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
