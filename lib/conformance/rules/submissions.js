/** Rules of idempotency keys, fan-in, disconnected readers, and drain. */
import { QUOTES } from '../sources.js';
import { brief, check, checkText } from '../wire/failure.js';
import { onlyTerminal } from './endings.js';
import { randomUUID } from 'node:crypto';

/** @typedef {import('../context.js').Context} Context */
/** @typedef {import('../types.js').Item} Item */
/** @typedef {import('./rule.js').Rule} Rule */

const CONCURRENT = 20;

/** Time in which a reader can reconnect, even on a busy machine. */
const GRACE_MS = 1000;

/** @param {readonly Item[]} items @param {string} job */
const textOf = (items, job) =>
  items.flatMap((item) => (item.job === job ? (item.text ?? '') : [])).join('');

/** Two jobs with known texts. @param {Context} context */
async function twoJobs(context) {
  const jobs = [];
  for (const texts of [
    ['a1 ', 'a2 ', 'a3 '],
    ['b1 ', 'b2 ', 'b3 '],
  ]) {
    const source = await context.known(texts);
    jobs.push({ source, job: await context.submit(source) });
  }
  return jobs;
}

/** @type {readonly Rule[]} */
export const submissions = [
  {
    id: 'idempotency/same',
    title: 'the same request with the same key is the same job',
    source: QUOTES.idempotencyKey,
    features: ['submit', 'idempotency'],
    async run(context) {
      const source = await context.known();
      const key = randomUUID();
      const first = await context.submit(source, { key });
      const second = await context.submit(source, { key });
      check(first.id === second.id, `the two requests made ${first.id} and ${second.id}`);
    },
  },
  {
    id: 'idempotency/concurrent',
    title: `${CONCURRENT} equal requests at once with one key make one job and one call of the model`,
    source: QUOTES.idempotencyKey,
    features: ['submit', 'idempotency'],
    control: 'watch',
    async run(context) {
      const source = await context.known();
      const key = randomUUID();
      const all = Array.from({ length: CONCURRENT }, () => context.submit(source, { key }));
      const jobs = await Promise.all(all);
      const ids = new Set(jobs.map(({ id }) => id));
      check(ids.size === 1, `${CONCURRENT} requests made ${ids.size} jobs`);
      await (await context.first(jobs[0])).ended();
      check(source.calls === 1, `the model was called ${source.calls} times`);
    },
  },
  {
    id: 'idempotency/other-body',
    title: 'a key with another request is refused',
    source: QUOTES.idempotencyKey,
    features: ['submit', 'idempotency'],
    async run(context) {
      const key = randomUUID();
      await context.submit(await context.known(), { key });
      const answer = await context.post(await context.known(['other']), { key }).head();
      check(
        answer.status >= 400 && answer.status < 500,
        `the other request got ${answer.status} instead of 422`,
      );
    },
  },
  {
    id: 'fan-in/two-jobs',
    title: 'one connection carries several jobs, each whole and in order',
    source: QUOTES.fanIn,
    features: ['fan-in'],
    control: 'text',
    async run(context) {
      const jobs = await twoJobs(context);
      const stream = await context.fanIn(jobs.map(({ job }) => job));
      await stream.until(
        () => stream.terminals.length === jobs.length,
        'terminal event of each job',
      );
      for (const { job, source } of jobs) {
        checkText(textOf(stream.items, job.id), source.text ?? '', `the text of ${job.id}`);
      }
    },
  },
  {
    id: 'fan-in/resume',
    title: 'a cursor over several jobs continues each of them',
    source: QUOTES.fanIn,
    features: ['fan-in', 'cursor', 'replay'],
    control: 'text',
    async run(context) {
      const jobs = await twoJobs(context);
      const all = jobs.map(({ job }) => job);
      const whole = await context.fanIn(all);
      await whole.until(() => whole.terminals.length === jobs.length, 'terminal event of each job');
      for (const [at, { cursor }] of whole.items.slice(0, -1).entries()) {
        const rest = whole.items.slice(at + 1);
        const wanted = rest.filter(({ kind }) => kind === 'terminal').length;
        const stream = await context.fanIn(all, cursor);
        await stream.until(() => stream.terminals.length >= wanted, `end after ${cursor}`);
        for (const { id } of all) {
          checkText(
            textOf(stream.items, id),
            textOf(rest, id),
            `the text of ${id} after ${cursor}`,
          );
        }
      }
    },
  },
  {
    id: 'leave/runs-on',
    title: 'a job whose only reader has left runs on, and is read later',
    source: QUOTES.policy,
    sources: {
      responses: QUOTES.openaiBackground,
      'ai-sdk': QUOTES.aiSdkRunsOn,
      'llama.cpp': QUOTES.llamaRunsOn,
    },
    features: ['submit', 'resume', 'runs-on'],
    control: 'watch',
    async run(context) {
      const policy = context.has('policy-continue') ? 'continue' : undefined;
      const { source, job, stream } = await context.running('before ', { policy });
      stream.close();
      await new Promise((resolve) => setTimeout(resolve, 100));
      check(!source.hasLeft(), 'the call of the model was closed when the reader left');
      await source.write('after');
      const again = await (await context.open(job)).hasText('before after');
      await source.end();
      await again.ended();
      checkText(again.text, 'before after', 'the text');
    },
  },
  {
    id: 'leave/cancel',
    title:
      'a job that its readers may end is cancelled once they have left, and the model is let go',
    source: QUOTES.policy,
    features: ['submit', 'policy-cancel'],
    control: 'watch',
    async run(context) {
      const options = /** @type {const} */ ({ policy: 'cancel', graceMs: 50 });
      const { source, job, stream } = await context.running('some text', options);
      stream.close();
      await source.left();
      if (!context.has('replay')) return;
      const again = await (await context.open(job)).ended();
      const { outcome } = onlyTerminal(again);
      check(outcome === 'cancelled', `the terminal event says ${outcome}`);
    },
  },
  {
    id: 'leave/grace',
    title: 'a reader that comes back in time keeps the job alive',
    source: QUOTES.policy,
    features: ['submit', 'policy-cancel', 'resume'],
    control: 'watch',
    async run(context) {
      const graceMs = GRACE_MS;
      const options = /** @type {const} */ ({ policy: 'cancel', graceMs });
      const { source, job, stream } = await context.running('before ', options);
      stream.close();
      const again = await (await context.open(job)).hasText('before');
      await new Promise((resolve) => setTimeout(resolve, 1.25 * graceMs));
      check(!source.hasLeft(), 'the call of the model was closed although a reader is there');
      await source.write('after');
      await source.end();
      await again.ended();
      checkText(again.text, 'before after', 'the text');
    },
  },
  {
    id: 'drain/terminal',
    title:
      'a server that is shut down ends each stream with its terminal event, and takes no new job',
    source: QUOTES.drain,
    sources: { responses: QUOTES.unavailable },
    features: ['submit', 'errors'],
    control: 'hand',
    facts: ['drain'],
    async run(context) {
      const { stream } = await context.running('some text');
      const { drain } = context.facts;
      const drained = Promise.resolve(drain?.());
      drained.catch(() => {});
      await stream.ended();
      onlyTerminal(stream);
      const late = context.post(await context.known());
      await late.until(() => late.response !== undefined || late.state !== 'open', 'answer');
      check(
        late.status === 0 || late.status >= 500,
        () => `a new job got ${late.status} ${brief(late.body)}`,
      );
    },
  },
];
