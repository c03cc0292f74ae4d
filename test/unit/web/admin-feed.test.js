/** The dashboard's reader of server-sent events: any cut, any line end. */
import { eventsOf } from '../../../web/admin/feed.js';

async function read(chunks) {
  async function* source() {
    yield* chunks;
  }
  const events = [];
  for await (const event of eventsOf(source())) events.push(event);
  return events;
}

const TEXT =
  'retry: 2000\nevent: a\ndata: {"x":1}\n\n: keep-alive\ndata:1\ndata: 2\n\nevent: b\ndata: é\n\n';
const EVENTS = [
  { type: 'a', data: '{"x":1}' },
  { type: 'message', data: '1\n2' },
  { type: 'b', data: 'é' },
];

test.each([
  ['line feeds', TEXT],
  ['CR LF', TEXT.replaceAll('\n', '\r\n')],
])('%s, in one piece and cut anywhere', async (_name, text) => {
  expect(await read([text])).toEqual(EVENTS);
  for (let cut = 1; cut < text.length; cut += 1) {
    expect(await read([text.slice(0, cut), text.slice(cut)])).toEqual(EVENTS);
  }
  expect(await read([...text])).toEqual(EVENTS);
});

test('an event without its empty line is not reported', async () => {
  expect(await read(['data: 1\n'])).toEqual([]);
});
