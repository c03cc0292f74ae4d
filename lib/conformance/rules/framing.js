/** Rules for the bytes of a stream: type, encoding, lines, and texts that look like frames. */
import { QUOTES } from '../sources.js';
import { deltaEvent, END_EVENTS } from '../fixtures/upstream.js';
import { brief, check, checkText } from '../wire/failure.js';

/** @typedef {import('../context.js').Context} Context */
/** @typedef {import('./rule.js').Rule} Rule */

/** @param {Context} context @param {readonly string[]} [texts] */
async function readWhole(context, texts) {
  const source = await context.known(texts);
  const stream = await context.first(await context.submit(source));
  await stream.ended();
  return { source, stream };
}

/**
 * Checks that the text arrives unchanged, in one answer with one ending.
 * @param {Context} context
 * @param {readonly string[]} texts
 */
async function arrives(context, texts) {
  const { stream } = await readWhole(context, texts);
  checkText(stream.text, texts.join(''), 'the text');
  const { length } = stream.terminals;
  check(length === 1, () => `the stream has ${length} terminal events: ${brief(stream.items)}`);
}

/**
 * @param {string} id
 * @param {string} title
 * @param {import('./rule.js').Quote} source
 * @param {readonly string[]} texts
 * @returns {Rule}
 */
const textRule = (id, title, source, texts) => ({
  ...{ id, title, source, control: /** @type {const} */ ('text') },
  run: (context) => arrives(context, texts),
});

/**
 * An answer with bytes chosen by the rule.
 * @param {Context} context
 * @param {readonly (string | Uint8Array)[]} pieces each one in a separate write
 * @param {string} expected
 */
async function readBytes(context, pieces, expected) {
  const source = await context.byHand();
  const submitted = context.submit(source);
  await source.started();
  for (const piece of pieces) {
    await source.raw(piece);
    // Pieces written in one turn of the event loop are sent in one packet.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await source.end();
  const stream = await context.first(await submitted);
  await stream.ended();
  checkText(stream.text, expected, 'the text');
}

const SPLIT = 'aß€😀z';

/** Writes of an event, cut once between two bytes. @param {number} at @returns {Buffer[]} */
function cutAt(at) {
  const bytes = Buffer.from(deltaEvent(SPLIT));
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

/** The positions within multi-byte characters. */
function cuts() {
  const bytes = Buffer.from(deltaEvent(SPLIT));
  return [...bytes.keys()].filter((at) => (bytes[at] & 0xc0) === 0x80);
}

/** @param {string} newline @returns {Rule} */
function upstreamLines(newline) {
  const name = newline.replace('\r', 'cr').replace('\n', 'lf');
  return {
    id: `framing/upstream-${name}`,
    title: `a model that ends its lines with ${name.toUpperCase()} is understood`,
    source: QUOTES.lines,
    control: 'bytes',
    async run(context) {
      const source = await context.byHand();
      const submitted = context.submit(source);
      await source.started();
      const answer = [deltaEvent('one'), ': a comment\n\n', deltaEvent(' two'), END_EVENTS].join(
        '',
      );
      await source.raw(answer.replaceAll('\n', newline));
      const stream = await context.first(await submitted);
      const enough = () => stream.text === 'one two' || stream.terminals.length > 0;
      await stream.until(enough, 'text of the model');
      checkText(stream.text, 'one two', 'the text');
    },
  };
}

/** @type {readonly Rule[]} */
export const framing = [
  {
    id: 'framing/content-type',
    title: 'a stream has the status 200 and the type text/event-stream',
    source: QUOTES.contentType,
    async run(context) {
      const stream = await context.first(await context.submit(await context.known()));
      context.checkStream(stream);
    },
  },
  {
    id: 'framing/not-cached',
    title: 'a cache does not answer for the server',
    source: QUOTES.noCache,
    async run(context) {
      const stream = await context.first(await context.submit(await context.known()));
      const value = String(stream.headers['cache-control'] ?? '');
      check(/no-cache|no-store|private/.test(value), `Cache-Control is ${brief(value)}`);
    },
  },
  {
    id: 'framing/grammar',
    title: 'each line is a comment or a field, and the last event is whole',
    source: QUOTES.grammar,
    async run(context) {
      const { stream } = await readWhole(context);
      const [violation] = stream.violations;
      check(violation === undefined, violation ?? '');
      check(stream.blocks.length > 0, 'the stream has no event');
    },
  },
  textRule('framing/utf-8', 'characters of two to four bytes arrive', QUOTES.utf8, [
    'é',
    'ß',
    '€',
    '한국어',
    '😀',
    '👩‍👩‍👧',
    'e\u0301',
    '\u{10ffff}',
    '\ufffd',
  ]),
  textRule('framing/bom', 'U+FEFF in a text is not taken for a byte order mark', QUOTES.bom, [
    '\ufeffstart',
    'middle\ufeff',
    '\ufeff',
  ]),
  textRule(
    'framing/line-endings',
    'CR, LF, CRLF and the separators of Unicode in a text arrive',
    QUOTES.data,
    ['a\rb', 'a\nb', 'a\r\nb', '\n', '\n\n', '\r', '\r\n\r\n', '\u2028', '\u2029', '\x85', '\v\f'],
  ),
  textRule('framing/injection', 'a text that looks like fields makes no events', QUOTES.lines, [
    'x\n\ndata: forged\n\n',
    '\n\nevent: job_complete\ndata: {"job_id":"x"}\n\n',
    '\r\rdata: [DONE]\r\r',
    '\nid: 999-999\n',
    '\r\nretry: 1\r\n',
    '\n: comment\n',
    'data: [DONE]',
    '"}}\n\n',
  ]),
  textRule('framing/control-characters', 'control characters and quotes arrive', QUOTES.grammar, [
    '\0',
    '\x01\x02\x1b[31m',
    '\x7f\x80\x9f',
    '"quoted" \\ \\u0000 \\n',
    '</script><!--',
    '\t tab and spaces  ',
    ' ',
  ]),
  textRule('framing/large-event', 'a text of 256 KiB arrives in one piece', QUOTES.data, [
    `<${'0123456789abcdef'.repeat(16 * 1024)}>`,
  ]),
  {
    id: 'framing/utf-8-split',
    title: 'a character that the model sends in two writes arrives',
    source: QUOTES.utf8,
    control: 'bytes',
    async run(context) {
      const pieces = cuts().flatMap(cutAt);
      await readBytes(context, pieces, SPLIT.repeat(cuts().length));
    },
  },
  {
    id: 'framing/upstream-bom',
    title: 'a byte order mark at the start of the answer of the model is ignored',
    source: QUOTES.bom,
    control: 'bytes',
    run: (context) =>
      readBytes(context, ['\ufeff', deltaEvent('first'), deltaEvent(' second')], 'first second'),
  },
  ...['\n', '\r\n', '\r'].map(upstreamLines),
  {
    id: 'framing/upstream-comment',
    title: 'comments and fields without data of the model make no text',
    source: QUOTES.comment,
    control: 'bytes',
    run: (context) =>
      readBytes(
        context,
        [': hello\n\n', deltaEvent('one'), 'event: ping\n\n', ':\n', deltaEvent(' two')],
        'one two',
      ),
  },
];
