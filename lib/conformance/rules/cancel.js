/** Rules of cancel, in each phase of a job. */
import { QUOTES } from '../sources.js';
import { brief, check, checkText } from '../wire/failure.js';
import { onlyTerminal } from './endings.js';

/** @typedef {import('../context.js').Context} Context */
/** @typedef {import('../types.js').Job} Job */
/** @typedef {import('../wire/stream.js').Stream} Stream */
/** @typedef {import('./rule.js').Rule} Rule */

const SOURCES = {
  responses: QUOTES.openaiCancel,
  'llama.cpp': QUOTES.llamaCancel,
  'ai-sdk': QUOTES.aiSdkStop,
};

/** @param {Context} context @param {Job} job */
async function cancelIt(context, job) {
  const { status, body } = await context.cancel(job);
  check(status >= 200 && status < 300, () => `the cancel got ${status} ${brief(body)}`);
}

/** @param {Context} context @param {Stream} stream */
async function checkCancelled(context, stream) {
  await stream.closed();
  const wrong = stream.terminals.filter(({ outcome }) => outcome === 'complete');
  check(wrong.length === 0, 'a cancelled job is reported as complete');
  if (!context.has('cancelled-event')) return;
  check(stream.state === 'end', 'the stream of a cancelled job was cut');
  const { outcome } = onlyTerminal(stream);
  check(outcome === 'cancelled', `the terminal event says ${outcome}`);
}

/** @type {readonly Rule[]} */
export const cancel = [
  {
    id: 'cancel/queued',
    title: 'a job that waits for a place is cancelled without a call of the model',
    source: QUOTES.queued,
    sources: SOURCES,
    features: ['submit', 'cancel'],
    control: 'watch',
    facts: ['concurrency'],
    async run(context) {
      const places = /** @type {number} */ (context.facts.concurrency);
      const busy = [];
      for (let n = 0; n < places; n += 1) {
        const source = await context.byHand();
        await context.submit(source);
        await source.started();
        busy.push(source);
      }
      const waiting = await context.byHand();
      const job = await context.submit(waiting);
      const stream = await context.first(job);
      await cancelIt(context, job);
      await checkCancelled(context, stream);
      for (const source of busy) await source.end();
      // A job after the cancelled one gets its place once the cancelled one is skipped.
      const next = await context.first(await context.submit(await context.known()));
      await next.ended();
      check(waiting.calls === 0, 'the model was called for a job that was cancelled before');
    },
  },
  ...[false, true].map(
    (head) =>
      /** @type {Rule} */ ({
        id: head ? 'cancel/before-first-token' : 'cancel/before-head',
        title: head
          ? 'a job whose model has answered without a token is cancelled, and the model is let go'
          : 'a job whose model has not answered is cancelled, and the model is let go',
        source: QUOTES.queued,
        sources: SOURCES,
        features: ['submit', 'cancel'],
        control: 'watch',
        async run(context) {
          const source = await context.byHand();
          const submitted = context.submit(source);
          await source.started();
          if (head) await source.raw(': no token yet\n\n');
          const job = await submitted;
          const stream = await context.first(job);
          await cancelIt(context, job);
          await checkCancelled(context, stream);
          await source.left();
        },
      }),
  ),
  {
    id: 'cancel/mid-stream',
    title: 'a job in the middle of its text is cancelled, keeps the text, and the model is let go',
    source: QUOTES.cancel,
    sources: SOURCES,
    features: ['submit', 'cancel'],
    control: 'watch',
    async run(context) {
      const { source, job, stream } = await context.running('some text');
      await cancelIt(context, job);
      await checkCancelled(context, stream);
      await source.left();
      checkText(stream.text, 'some text', 'the text');
    },
  },
  {
    id: 'cancel/twice',
    title: 'a second cancel has the answer of the first',
    source: QUOTES.idempotent,
    sources: SOURCES,
    features: ['submit', 'cancel'],
    control: 'hand',
    async run(context) {
      const { job, stream } = await context.running('some text');
      await cancelIt(context, job);
      await stream.closed();
      await cancelIt(context, job);
    },
  },
  {
    id: 'cancel/after-end',
    title: 'a cancel after the end changes nothing',
    source: QUOTES.cancel,
    sources: SOURCES,
    features: ['submit', 'cancel', 'cancel-keeps', 'replay'],
    async run(context) {
      const job = await context.submit(await context.known());
      const stream = await (await context.first(job)).ended();
      const { status } = await context.cancel(job);
      check(status < 500, `the cancel got ${status}`);
      const again = await (await context.open(job)).ended();
      checkText(again.text, stream.text, 'the text after the cancel');
      const { outcome } = onlyTerminal(again);
      check(outcome === 'complete', `the terminal event now says ${outcome}`);
    },
  },
  {
    id: 'cancel/unknown-job',
    title: 'the cancel of an unknown job is no server error',
    source: QUOTES.notFound,
    features: ['submit', 'cancel'],
    async run(context) {
      const { status } = await context.cancel({ id: 'conformance-no-such-job' });
      check(status < 500, `the cancel of an unknown job got ${status}`);
    },
  },
];
