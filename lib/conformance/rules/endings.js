/** Rules of terminal events: one for each job, under errors and races. */
import { QUOTES } from '../sources.js';
import { brief, check } from '../wire/failure.js';

/** @typedef {import('../context.js').Context} Context */
/** @typedef {import('../wire/stream.js').Stream} Stream */
/** @typedef {import('./rule.js').Rule} Rule */

/** Rounds of a race. */
const ROUNDS = 10;

/** @param {Stream} stream @returns {import('../types.js').Item} the only terminal item, which is the last one */
export function onlyTerminal(stream) {
  const { terminals, items } = stream;
  check(
    terminals.length === 1,
    () => `the stream has ${terminals.length} terminal events: ${brief(terminals)}`,
  );
  const after = items.slice(items.indexOf(terminals[0]) + 1);
  check(
    after.every(({ kind }) => kind === 'other'),
    () => `events follow the terminal one: ${brief(after)}`,
  );
  return terminals[0];
}

/** @param {Context} context @param {number} round */
async function raceOnce(context, round) {
  const { source, job, stream: first } = await context.running('text');
  const streams = [first];
  if (context.has('fan-out')) streams.push(await context.open(job));
  const ending = source.end();
  ending.catch(() => {});
  // Varies the moment of the race.
  for (let turn = 0; turn < round; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  const cancels = await Promise.all([context.cancel(job), context.cancel(job)]);
  await ending;
  for (const { status } of cancels) {
    check(status < 500, `a cancel at the end of the job got ${status}`);
  }
  if (context.has('cancel-keeps')) streams.push(await context.open(job));
  /** @type {(string | undefined)[]} */
  const outcomes = [];
  for (const stream of streams) {
    await stream.ended();
    const count = stream.terminals.length;
    check(count <= 1, `a reader has ${count} terminal events`);
    if (context.has('cancelled-event')) outcomes.push(onlyTerminal(stream).outcome);
  }
  if (context.has('state')) outcomes.push((await context.state(job)).outcome);
  check(new Set(outcomes).size <= 1, () => `readers disagree on the end: ${brief(outcomes)}`);
}

/** @type {readonly Rule[]} */
export const endings = [
  {
    id: 'ending/one',
    title: 'a stream has one terminal event, its last, and then the response ends properly',
    source: QUOTES.terminal,
    async run(context) {
      const stream = await context.first(await context.submit(await context.known()));
      await stream.ended();
      const { outcome } = onlyTerminal(stream);
      check(outcome === 'complete', `the terminal event says ${outcome}`);
    },
  },
  {
    id: 'ending/proper',
    title: 'the response of a whole stream is complete',
    source: QUOTES.chunked,
    async run(context) {
      const stream = await context.first(await context.submit(await context.known()));
      await stream.closed();
      check(stream.state === 'end', 'the connection was cut before the end of the chunked body');
    },
  },
  {
    id: 'ending/error',
    title: 'an answer that breaks off ends with an error, not in silence',
    source: QUOTES.oneTerminal,
    features: ['errors'],
    control: 'hand',
    async run(context) {
      const { source, stream } = await context.running('half of it');
      await source.fail();
      await stream.ended();
      const { outcome } = onlyTerminal(stream);
      check(outcome === 'error', `the terminal event says ${outcome}`);
    },
  },
  {
    id: 'ending/refused',
    title: 'a job whose model refuses gets an error: a status, or a terminal event',
    source: QUOTES.oneTerminal,
    features: ['submit', 'errors'],
    control: 'watch',
    async run(context) {
      const source = context.refused(400);
      const answer = await context.post(source).head();
      if (answer.status >= 400) return;
      // A stream in the answer, or a job with a stream of its own.
      const isStream = answer.headers['content-type']?.startsWith('text/event-stream') ?? false;
      if (!isStream) await answer.ended();
      const job = context.adapter.accepted(answer);
      const stream = isStream
        ? answer
        : await context.open(/** @type {import('../types.js').Job} */ (job));
      await stream.ended();
      const { outcome } = onlyTerminal(stream);
      check(outcome === 'error', `the terminal event says ${outcome}`);
    },
  },
  {
    id: 'ending/race',
    title: 'when a cancel meets the end, all readers get the same one terminal event',
    source: QUOTES.oneTerminal,
    features: ['cancel', 'resume'],
    control: 'hand',
    async run(context) {
      for (let round = 0; round < ROUNDS; round += 1) await raceOnce(context, round);
    },
  },
];
