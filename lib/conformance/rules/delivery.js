/** Rules for the delay of text, and for silence. */
import { QUOTES } from '../sources.js';
import { check, checkText } from '../wire/failure.js';

/** @typedef {import('./rule.js').Rule} Rule */

/** A text larger than the buffers of a connection: 8 MiB. */
const PIECES = 512;
const PIECE_SIZE = 16 * 1024;

/** @type {readonly Rule[]} */
export const delivery = [
  {
    id: 'delivery/unbuffered',
    title: 'each text arrives before the next one is produced',
    source: QUOTES.chunking,
    control: 'hand',
    async run(context) {
      const source = await context.byHand();
      const submitted = context.submit(source);
      await source.write('word-0 ');
      const stream = await context.first(await submitted);
      for (let n = 1; n < 5; n += 1) {
        await stream.hasText(`word-${n - 1} `);
        await source.write(`word-${n} `);
      }
      await source.end();
      await stream.ended();
    },
  },
  {
    id: 'delivery/fan-out',
    title: 'every reader of a job gets all of it',
    source: QUOTES.oneTerminal,
    sources: { 'durable-streams': QUOTES.durableOrder, 'ai-sdk': QUOTES.aiSdkResume },
    features: ['resume', 'fan-out'],
    control: 'hand',
    async run(context) {
      const source = await context.byHand();
      const submitted = context.submit(source);
      await source.write('first ');
      const job = await submitted;
      const streams = [await context.first(job)];
      for (let n = 0; n < 3; n += 1) {
        streams.push(await context.open(job));
        await source.write(`word-${n} `);
      }
      await source.end();
      for (const stream of streams) {
        await stream.ended();
        checkText(stream.text, 'first word-0 word-1 word-2 ', 'the text of a reader');
      }
    },
  },
  {
    id: 'delivery/keep-alive',
    title: 'bytes are sent while the model is silent, and make no text',
    source: QUOTES.keepAlive,
    control: 'hand',
    facts: ['heartbeatMs'],
    async run(context) {
      const heartbeatMs = /** @type {number} */ (context.facts.heartbeatMs);
      const { source, stream } = await context.running('before');
      const { size } = stream;
      await stream.until(() => stream.size > size, 'byte of a keep-alive', heartbeatMs * 2 + 1000);
      checkText(stream.text, 'before', 'the text after a keep-alive');
      await source.write(' after');
      await source.end();
      await stream.ended();
      checkText(stream.text, 'before after', 'the text');
      const [violation] = stream.violations;
      check(violation === undefined, violation ?? '');
    },
  },
  {
    id: 'delivery/slow-reader',
    title: 'a reader that stops reading does not keep the others from the end',
    source: QUOTES.slow,
    features: ['resume', 'fan-out'],
    control: 'hand',
    facts: ['stallMs'],
    async run(context) {
      const { source, job, stream: slow } = await context.running('first ');
      const other = await context.open(job);
      slow.pause();
      const piece = 'x'.repeat(PIECE_SIZE);
      const writing = (async () => {
        for (let n = 0; n < PIECES; n += 1) await source.write(piece);
        await source.end();
      })();
      writing.catch(() => {});
      await other.until(
        () => other.state === 'end',
        'end for the other reader',
        context.stallLimitMs,
      );
      const size = 'first '.length + PIECES * PIECE_SIZE;
      check(
        other.text.length === size,
        `the other reader has ${other.text.length} of ${size} characters`,
      );
      check(other.terminals.length === 1, 'the other reader has no terminal event');
    },
  },
  {
    id: 'delivery/slow-resume',
    title:
      'a reader that was disconnected because it stopped reading loses nothing when it resumes',
    source: QUOTES.slow,
    features: ['resume', 'cursor', 'replay'],
    control: 'hand',
    facts: ['stallMs'],
    async run(context) {
      const { source, job, stream: slow } = await context.running('first ');
      slow.pause();
      const pieces = Array.from({ length: PIECES }, (_, n) => `${n} `.padEnd(PIECE_SIZE, '.'));
      for (const piece of pieces) await source.write(piece);
      await source.end();
      slow.resume();
      await slow.closed();
      const last = slow.items.findLastIndex((item) => item.cursor !== undefined);
      const read = slow.items.slice(0, last + 1);
      const after = slow.items[last]?.cursor;
      const ended = slow.terminals.length > 0;
      const rest = ended ? undefined : await (await context.open(job, { after })).ended();
      // A server that has dropped a part of the text must announce it.
      if (rest?.items.some(({ kind }) => kind === 'gap')) return;
      const text = [...read, ...(rest?.items ?? [])].map((item) => item.text ?? '').join('');
      checkText(text, `first ${pieces.join('')}`, 'the text of both connections');
    },
  },
];
