/** The parts of the conformance suite: blocks, options, reports. */
import net from 'node:net';
import { once } from 'node:events';
import { createParser } from 'eventsource-parser';
import fc from 'fast-check';
import { BlockReader } from '../../../lib/conformance/wire/blocks.js';
import { timeoutFor } from '../../../lib/conformance/pace.js';
import {
  adapters,
  rules,
  runConformance,
  startFixtureUpstream,
  toJunit,
  toText,
} from '../../../lib/conformance/index.js';

/** The blocks of a body that arrives in pieces of a size. */
function read(body, size = Infinity) {
  const blocks = [];
  const reader = new BlockReader((block) => blocks.push(block));
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; at += size) reader.feed(bytes.subarray(at, at + size));
  reader.end();
  return { blocks, violations: reader.violations, comments: reader.comments };
}

test.each(['\n', '\r\n', '\r'])(
  'blocks with lines that end with %j, in pieces of any size',
  (newline) => {
    const body = [
      ...['\ufeffid: 1', ': note', 'event:e', 'data: a', 'data:b', ''],
      ...['data', '', ': alone', '', 'id: 2', 'data: €😀', '', ''],
    ].join(newline);
    const expected = [
      { id: '1', event: 'e', data: 'a\nb' },
      { data: '' },
      { id: '2', data: '€😀' },
    ];
    for (const size of [1, 2, 3, 7, Infinity]) {
      const { blocks, violations, comments } = read(body, size);
      expect(blocks.map(({ end: _, ...block }) => block)).toEqual(expected);
      // A block ends with the first half of CRLF: its second half begins nothing.
      expect(blocks.at(-1).end).toBe(Buffer.byteLength(body) - (newline.length - 1));
      expect(violations).toEqual([]);
      expect(comments).toEqual([' note', ' alone']);
    }
  },
);

test('blocks equal the blocks of eventsource-parser', () => {
  const part = fc.constantFrom('data: x', 'data', ':c', 'id: 7', 'event: t', '', '', 'data:  y');
  const property = fc.property(
    fc.array(part),
    fc.constantFrom('\n', '\r\n', '\r'),
    (parts, newline) => {
      // Its parser keeps a last CR, which may be half of a CRLF.
      const body = `${parts.join(newline)}${newline}${newline}data: last${newline}${newline}x`;
      const events = [];
      createParser({ onEvent: (event) => events.push(event) }).feed(body);
      const own = read(body).blocks.filter(({ data }) => data !== undefined);
      expect(own.map(({ data }) => data)).toEqual(events.map(({ data }) => data));
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test.each([
  [Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0x0a, 0x0a]), 'not UTF-8'],
  ['data: x\n', 'in the middle of an event'],
  ['data: x', 'in the middle of an event'],
  ['daten: x\n\n', 'no field that clients know'],
  ['id: a\0b\ndata: x\n\n', 'U+0000'],
  ['retry: soon\ndata: x\n\n', 'retry is no number'],
  ['data: x\n\n\ufeffdata: y\n\n', 'no field that clients know'],
])('%j departs from the grammar', (body, violation) => {
  expect(read(body).violations).toEqual([expect.stringContaining(violation)]);
});

test('every rule has its own id, a title and a source', () => {
  expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
  for (const { id, title, source } of rules) {
    expect(id).toMatch(/^[a-z-]+\/[a-z0-9-]+$/);
    expect(title).not.toBe('');
    expect(source).toEqual({
      title: expect.stringMatching(/\S/),
      url: expect.stringMatching(/^https:|^docs\//),
      text: expect.stringMatching(/\S/),
    });
  }
});

const url = 'http://127.0.0.1:1';
test.each([
  [undefined, /options takes an object/],
  [{ url: 'ftp://x' }, /url takes an http or https URL/],
  [{ url, adapter: 'grpc' }, /adapter takes sluice, .*not "grpc"/],
  [{ url, only: ['framing/none'] }, /only names a rule or a group, not "framing\/none"/],
  [{ url, skip: 'cursor' }, /skip takes an array/],
  [{ url, timeout: 5 }, /timeout is not an option/],
  [{ url, timeoutMs: 0 }, /timeoutMs takes milliseconds/],
  [{ url, headers: { 'a b': 'x' } }, /headers has no valid name or value at "a b"/],
  [{ url, upstream: {} }, /upstream takes what startFixtureUpstream/],
  [{ url, drain: 7 }, /drain takes a function/],
  [{ url, concurrency: 0.5 }, /concurrency takes an integer/],
])('the options %j are refused', async (options, message) => {
  await expect(runConformance(options)).rejects.toThrow(message);
});

test.each([
  [0, 10_000],
  [3333, 10_000],
  [3334, 11_000],
  [15_200, 46_000],
])('after an answer of %i ms each wait is for %i ms', (answerMs, timeoutMs) => {
  expect(timeoutFor(answerMs)).toBe(timeoutMs);
});

test('a server that does not listen is an error, not a list of failed rules', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  const run = runConformance({ url: `http://127.0.0.1:${port}` });
  await expect(run).rejects.toMatchObject({ code: 'ERR_CONFORMANCE_UNREACHABLE' });
});

test('a server that accepts connections and never answers breaks each rule; every promise settles', async () => {
  const sockets = new Set();
  const server = net.createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on('unhandledRejection', note);
  const upstream = await startFixtureUpstream();
  const address = `http://127.0.0.1:${server.address().port}`;
  const report = await runConformance({ url: address, upstream, adapter: 'chat', timeoutMs: 20 });
  for (const socket of sockets) socket.destroy();
  server.close();
  await upstream.close();
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
  expect(report.passed).toBe(0);
  expect(report.failed).toBeGreaterThan(15);
});

test('without a fixture nothing that needs one is reported as passed', async () => {
  // A server that answers everything with an empty stream.
  const upstream = await startFixtureUpstream();
  const report = await runConformance({ url: upstream.url, timeoutMs: 200 });
  expect(report.timeoutMs).toBe(200);
  const controlled = report.results.filter(({ reason = '' }) => reason.startsWith('needs '));
  expect(controlled.length).toBeGreaterThan(20);
  expect(controlled.every(({ status }) => status === 'skipped')).toBe(true);
  const passed = report.results.filter(({ status }) => status === 'passed');
  expect(passed.map(({ id }) => id)).toEqual(['cancel/unknown-job']);
  await upstream.close();
});

const source = { title: 'Standard', url: 'https://example.org/', text: 'MUST "not" <break>' };
const report = {
  ...{ url: 'http://h/?a=1&b=2', adapter: 'sluice', passed: 1, failed: 1, skipped: 1 },
  results: [
    { id: 'a/b', title: 'one', status: 'passed', source, durationMs: 5 },
    { id: 'a/c', title: 'two', status: 'failed', reason: 'got <\0>', source, durationMs: 1500 },
    { id: 'd/e', title: 'three', status: 'skipped', reason: 'no "x"', source, durationMs: 0 },
  ],
};

test('a report as text', () => {
  expect(toText(report)).toBe(
    [
      'ok       a/b                           one',
      'FAILED   a/c                           two',
      '         got <\0>',
      '         Standard: "MUST "not" <break>"',
      '         https://example.org/',
      'skipped  d/e                           three',
      '         no "x"',
      'http://h/?a=1&b=2 as sluice: 1 passed, 1 failed, 1 skipped',
      '',
    ].join('\n'),
  );
});

test("a report as JUnit's XML", () => {
  const counts = 'tests="3" failures="1" skipped="1" time="1.505"';
  expect(toJunit(report)).toBe(
    [
      '<?xml version="1.0" encoding="UTF-8"?>',
      `<testsuites ${counts}>`,
      `  <testsuite name="sluice at http://h/?a=1&amp;b=2" ${counts}>`,
      '    <testcase classname="a" name="a/b: one" time="0.005"/>',
      '    <testcase classname="a" name="a/c: two" time="1.500"><failure message="got &lt;\ufffd&gt;">' +
        'Standard: &quot;MUST &quot;not&quot; &lt;break&gt;&quot; https://example.org/</failure></testcase>',
      '    <testcase classname="d" name="d/e: three" time="0.000"><skipped message="no &quot;x&quot;"/></testcase>',
      '  </testsuite>',
      '</testsuites>',
      '',
    ].join('\n'),
  );
});

test('the dialects', () => {
  expect(adapters.map(({ name }) => name)).toEqual([
    ...['sluice', 'responses', 'chat', 'messages', 'ai-sdk', 'llama.cpp', 'durable-streams'],
  ]);
});
