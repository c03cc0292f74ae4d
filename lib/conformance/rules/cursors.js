/** Rules of resumption: the content of a second connection. */
import { QUOTES } from '../sources.js';
import { brief, check, checkText } from '../wire/failure.js';

/** @typedef {import('../context.js').Context} Context */
/** @typedef {import('../types.js').Item} Item */
/** @typedef {import('../types.js').Job} Job */
/** @typedef {import('./rule.js').Rule} Rule */

const CURSOR_SOURCES = {
  responses: QUOTES.openaiCursor,
  'llama.cpp': QUOTES.llamaCursor,
  'durable-streams': QUOTES.durableReconnect,
  'ai-sdk': QUOTES.aiSdkResume,
};

/** Characters of a text that fills a log. */
const TRIM_PIECE = 1024;

/** An ended job and all of its events. @param {Context} context @param {readonly string[]} [texts] */
async function endedJob(context, texts) {
  const source = await context.known(texts);
  const job = await context.submit(source);
  const stream = await (await context.first(job)).ended();
  return { job, stream, source };
}

/** @param {readonly Item[]} items */
const textOf = (items) => items.map(({ text = '' }) => text).join('');

/**
 * Every reader gets the whole text, or is informed about the gap.
 * @param {Context} context
 * @param {Job} job
 * @param {string} cursor
 * @param {string} whole
 * @param {string} what description of the cursor
 */
async function checkBadCursor(context, job, cursor, whole, what) {
  const { badCursor = 'either' } = context.adapter;
  const answer = await context.request(job, { after: cursor });
  if (answer.status >= 400 && answer.status < 500 && badCursor !== 'replay') return;
  check(
    badCursor !== 'refuse' && answer.status === 200,
    () => `${what} got the status ${answer.status} ${brief(answer.body)}`,
  );
  await answer.ended();
  checkText(answer.text, whole, `the text after ${what}`);
  const announced = answer.items.some(({ kind }) => kind === 'gap');
  if (context.has('gap')) check(announced, `${what} is not announced by a gap`);
}

/** @type {readonly Rule[]} */
export const cursors = [
  {
    id: 'cursor/unique',
    title: 'each event has a cursor of its own',
    source: QUOTES.lastEventId,
    sources: { ...CURSOR_SOURCES, 'durable-streams': QUOTES.durableOffsets },
    features: ['cursor'],
    async run(context) {
      const { stream } = await endedJob(context);
      /** Text before each cursor: a cursor must refer to one position only. @type {Map<string, string>} */
      const places = new Map();
      let text = '';
      for (const { cursor, text: more = '' } of stream.items) {
        text += more;
        if (cursor === undefined) continue;
        const place = places.get(cursor) ?? text;
        check(place === text, `the cursor ${cursor} stands for two places`);
        places.set(cursor, text);
      }
      check(places.size > 0, 'no event has a cursor');
    },
  },
  {
    id: 'cursor/every-cut',
    title: 'after a cut at any event of an ended job the rest arrives, and nothing twice',
    source: QUOTES.lastEventId,
    sources: CURSOR_SOURCES,
    features: ['cursor', 'replay'],
    async run(context) {
      const { job, stream } = await endedJob(context);
      for (const [at, { cursor }] of stream.items.entries()) {
        const expected = stream.items.slice(at + 1);
        if (cursor === undefined || expected.length === 0) continue;
        const resumed = await (await context.open(job, { after: cursor })).ended();
        checkText(resumed.text, textOf(expected), `the text after ${cursor}`);
        check(resumed.terminals.length === 1, `no terminal event after ${cursor}`);
        if (!context.has('stable')) continue;
        const raws = (/** @type {readonly Item[]} */ items) =>
          items.map(({ raw }) => raw).join('\n');
        checkText(raws(resumed.items), raws(expected), `the events after ${cursor}`);
      }
    },
  },
  {
    id: 'cursor/live-cuts',
    title: 'a reader that is cut off again and again while text flows loses and doubles nothing',
    source: QUOTES.lastEventId,
    sources: CURSOR_SOURCES,
    features: ['resume', 'runs-on'],
    control: 'hand',
    async run(context) {
      const source = await context.byHand();
      const submitted = context.submit(source);
      await source.write('0 ');
      const job = await submitted;
      const words = Array.from({ length: 200 }, (_, n) => `${n} `);
      let stream = await context.first(job);
      let text = '';
      let cursor;
      const writing = (async () => {
        for (const word of words.slice(1)) {
          await source.write(word);
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      // Report the failure of the reader.
      writing.catch(() => {});
      for (let cut = 0; cut < 12; cut += 1) {
        const current = stream;
        await current.until(
          () => current.text.length > 0 && current.items.length > cut % 4,
          'text',
        );
        current.close();
        const last = context.has('cursor')
          ? current.items.findLastIndex((item) => item.cursor !== undefined)
          : -1;
        // A dialect without cursors repeats everything.
        text = context.has('cursor') ? text + textOf(current.items.slice(0, last + 1)) : '';
        cursor = current.items[last]?.cursor ?? cursor;
        stream = await context.open(job, { after: cursor });
        if (text.length + stream.text.length >= words.join('').length) break;
      }
      await writing;
      await source.end();
      await stream.ended();
      checkText(text + stream.text, words.join(''), 'the text over all connections');
      check(stream.terminals.length === 1, 'the last connection has no terminal event');
    },
  },
  {
    id: 'cursor/none',
    title: 'a reader without a cursor gets everything from the start',
    source: QUOTES.cursor,
    sources: CURSOR_SOURCES,
    features: ['replay'],
    async run(context) {
      const { job, stream } = await endedJob(context);
      const again = await (await context.open(job)).ended();
      checkText(again.text, stream.text, 'the text of a second reading');
      const count = again.terminals.length;
      check(count === 1, `a second reading has ${count} terminal events`);
    },
  },
  {
    id: 'cursor/query',
    title: 'the cursor can be part of the URL',
    source: QUOTES.queryCursor,
    features: ['query-cursor'],
    async run(context) {
      const { job, stream } = await endedJob(context);
      const [{ cursor }, ...rest] = stream.items;
      const resumed = await (await context.open(job, { after: cursor, inQuery: true })).ended();
      checkText(resumed.text, textOf(rest), `the text after ${cursor}`);
    },
  },
  {
    id: 'cursor/at-end',
    title: 'a cursor at the end repeats nothing, and stops a client where the dialect can',
    source: QUOTES.stop,
    features: ['cursor', 'replay'],
    async run(context) {
      const { job, stream } = await endedJob(context);
      const cursor = stream.items.findLast((item) => item.cursor !== undefined)?.cursor;
      const answer = await (await context.request(job, { after: cursor })).closed();
      const { endStatus } = context.adapter;
      if (context.has('end-status')) {
        check(
          answer.status === endStatus,
          `the status is ${answer.status} instead of ${endStatus}`,
        );
      }
      check(answer.state === 'end', 'the connection was cut');
      check(answer.text === '', () => `the text ${brief(answer.text)} comes again`);
    },
  },
  {
    id: 'cursor/malformed',
    title: 'a cursor that means nothing loses nothing in silence',
    source: QUOTES.gap,
    sources: {
      'durable-streams': QUOTES.durableBad,
      'llama.cpp': QUOTES.badRequest,
      responses: QUOTES.badRequest,
    },
    features: ['cursor', 'replay'],
    async run(context) {
      const { job, stream } = await endedJob(context);
      for (const cursor of ['no cursor', '-5', '1-x']) {
        await checkBadCursor(context, job, cursor, stream.text, `the cursor ${brief(cursor)}`);
      }
    },
  },
  {
    id: 'cursor/beyond',
    title: 'a cursor beyond the events loses nothing in silence',
    source: QUOTES.gap,
    features: ['cursor', 'replay', 'gap'],
    async run(context) {
      const { job, stream } = await endedJob(context);
      const cursor = context.adapter.beyond?.(job);
      if (cursor === undefined) return;
      await checkBadCursor(context, job, cursor, stream.text, `the cursor ${cursor}`);
    },
  },
  {
    id: 'cursor/trimmed',
    title: 'a cursor in a part that the server has dropped is answered by a gap or an error',
    source: QUOTES.gap,
    sources: { 'llama.cpp': QUOTES.llamaTrimmed },
    features: ['cursor', 'replay'],
    control: 'hand',
    facts: ['logLimitBytes'],
    async run(context) {
      const limit = /** @type {number} */ (context.facts.logLimitBytes);
      const source = await context.byHand();
      const submitted = context.submit(source);
      await source.write('first ');
      const job = await submitted;
      const stream = await (await context.first(job)).hasText('first ');
      await stream.until(() => stream.items.some(({ cursor }) => cursor !== undefined), 'cursor');
      const cursor = stream.items.findLast((item) => item.cursor !== undefined)?.cursor;
      let whole = '';
      while (whole.length < 2 * limit) {
        const piece = `${whole.length} `.padEnd(TRIM_PIECE, '.');
        whole += piece;
        await source.write(piece);
      }
      await source.end();
      await stream.ended();
      const answer = await context.request(job, { after: cursor });
      if (answer.status >= 400) return;
      await answer.ended();
      const gap = answer.items.findIndex(({ kind }) => kind === 'gap');
      const text = answer.items.findIndex(({ kind }) => kind === 'text');
      check(
        (gap >= 0 && gap < text) || answer.text === whole,
        () => `${answer.text.length} of ${whole.length} characters come, and no gap before them`,
      );
    },
  },
  {
    id: 'cursor/unknown-job',
    title: 'a job that the server does not know is no stream',
    source: QUOTES.notFound,
    sources: { 'ai-sdk': QUOTES.aiSdkIdle, 'durable-streams': QUOTES.durableMissing },
    features: ['resume'],
    async run(context) {
      const { unknownStatus = 404 } = context.adapter;
      const answer = await context.request({ id: 'conformance-no-such-job' });
      check(
        answer.status === unknownStatus,
        `the status is ${answer.status} instead of ${unknownStatus}`,
      );
    },
  },
];
