/** The gateway's response writes the bytes that Node's own does, whatever calls set its headers. */
import http from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import { ListedHeadersResponse } from '../../../lib/http/listed-headers.js';

const servers = [];
afterAll(() => servers.forEach((server) => server.close()));

async function listen(options) {
  const server = http.createServer(options, (req, res) => {
    try {
      server.answer(res);
    } catch (error) {
      res.destroy();
      server.thrown = error.code;
    }
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** The bytes of an answer, and the code of the error that its calls threw. */
function ask(server, answer, head) {
  server.answer = answer;
  server.thrown = undefined;
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(server.address().port, '127.0.0.1');
    socket.setEncoding('latin1').on('data', (part) => (text += part));
    socket.on('close', () => {
      resolve({ text: text.replace(/Date: .*/, 'Date'), thrown: server.thrown });
    });
    socket.end(`${head}Host: a\r\n\r\n`);
  });
}

let own;
let nodes;
beforeAll(async () => {
  own = await listen({ ServerResponse: ListedHeadersResponse });
  nodes = await listen({});
});

const GET = 'GET / HTTP/1.1\r\n';

test.each([
  ['no headers', (res) => res.end('a')],
  ['headers in order', (res) => res.setHeader('X-B', '1').setHeader('x-a', 2).end('a')],
  [
    'a header set again in another case',
    (res) => {
      res.setHeader('X-A', '1').setHeader('X-B', '2').setHeader('x-a', '3').end();
    },
  ],
  ['headers of writeHead', (res) => res.writeHead(201, { 'X-A': '1', b: ['2', '3'] }).end('a')],
  [
    'headers of both',
    (res) => {
      res.setHeader('X-A', '1').setHeader('X-B', '2');
      res.writeHead(202, { 'x-a': '3', 'X-C': '4' }).end('a');
    },
  ],
  [
    'a list of headers',
    (res) => {
      res.setHeader('X-A', '1');
      res.writeHead(200, ['x-a', '2', 'X-B', '3']).end('a');
    },
  ],
  ['a list of headers alone', (res) => res.writeHead(200, ['a', '1', 'a', '2']).end()],
  ['a phrase', (res) => res.setHeader('X-A', '1').writeHead(200, 'Fine', { 'X-B': '2' }).end()],
  ['a phrase alone', (res) => res.setHeader('X-A', '1').writeHead(404, 'Gone').end()],
  [
    'a status',
    (res) => {
      res.statusCode = 204;
      res.setHeader('X-A', '1').end();
    },
  ],
  ['a length', (res) => res.setHeader('Content-Length', 1).end('a')],
  ['a length as text', (res) => res.setHeader('content-length', '1').end('a')],
  [
    'chunks',
    (res) => {
      res.setHeader('X-A', '1').write('a');
      res.end('b');
    },
  ],
  ['a closed connection', (res) => res.setHeader('Connection', 'close').end('a')],
  ['a kept connection', (res) => res.setHeader('Connection', 'keep-alive').end('a')],
  ['its own date', (res) => res.setHeader('Date', 'today').end('a')],
  [
    'no date',
    (res) => {
      res.sendDate = false;
      res.setHeader('X-A', '1').end('a');
    },
  ],
  [
    'several values',
    (res) => res.setHeader('Set-Cookie', ['a=1', 'b=2']).setHeader('X', '1').end(),
  ],
  [
    'values joined later',
    (res) => {
      res.setHeader('Vary', 'a').appendHeader('vary', 'b').appendHeader('X-A', '1').end();
    },
  ],
  [
    'headers of a map',
    (res) =>
      res
        .setHeaders(
          new Map([
            ['X-A', '1'],
            ['b', '2'],
          ]),
        )
        .end(),
  ],
  [
    'a removed header',
    (res) => {
      res.setHeader('X-A', '1').setHeader('X-B', '2').removeHeader('x-a');
      res.end();
    },
  ],
  [
    'a removed length',
    (res) => {
      res.setHeader('Content-Length', '1').removeHeader('Content-Length');
      res.end('a');
    },
  ],
  ['Latin-1', (res) => res.setHeader('X-A', 'caf\xe9').end()],
  ['a tab', (res) => res.setHeader('X-A', 'a\tb').end()],
  ['an empty value', (res) => res.setHeader('X-A', '').end()],
  [
    'an early flush',
    (res) => {
      res.setHeader('X-A', '1').flushHeaders();
      res.end('a');
    },
  ],
  [
    'a trailer',
    (res) => {
      res.setHeader('Trailer', 'X-T').write('a');
      res.addTrailers({ 'X-T': '1' });
      res.end();
    },
  ],
  ['a name with a space', (res) => res.setHeader('X A', '1')],
  ['an empty name', (res) => res.setHeader('', '1')],
  ['a name that is no text', (res) => res.setHeader(1, '1')],
  ['a value with a line break', (res) => res.setHeader('X-A', 'a\r\nb')],
  ['no value', (res) => res.setHeader('X-A', undefined)],
  ['a bad value of writeHead', (res) => res.writeHead(200, { 'X-A': '\u20ac' })],
  ['a bad status', (res) => res.setHeader('X-A', '1').writeHead(1)],
  [
    'a header too late',
    (res) => {
      res.setHeader('X-A', '1').write('a');
      res.setHeader('X-B', '2');
    },
  ],
  [
    'a head too late',
    (res) => {
      res.writeHead(200, { 'X-A': '1' });
      res.writeHead(200, { 'X-A': '1' });
    },
  ],
])('%s', async (_name, answer) => {
  for (const head of [
    GET,
    'HEAD / HTTP/1.1\r\n',
    'GET / HTTP/1.0\r\n',
    `${GET}Connection: close\r\n`,
  ]) {
    const expected = await ask(nodes, answer, head);
    expect(await ask(own, answer, head)).toEqual(expected);
  }
});

test('tells the headers that it has, before and after its head has left', async () => {
  const told = (res) => [
    [res.getHeader('x-a'), res.getHeader('X-B'), res.getHeader('c')],
    [res.hasHeader('X-a'), res.hasHeader('c')],
    { ...res.getHeaders() },
    res.getHeaderNames(),
    res.getRawHeaderNames(),
  ];
  const answer = (seen) => (res) => {
    seen.push(told(res));
    res.setHeader('X-A', '1').setHeader('X-B', 2);
    seen.push(told(res));
    res.setHeader('Vary', ['a', 'b']);
    seen.push(told(res));
    res.end();
    seen.push(told(res));
  };
  const [ofOwn, ofNodes] = [[], []];
  await ask(own, answer(ofOwn), GET);
  await ask(nodes, answer(ofNodes), GET);
  expect(ofOwn).toEqual(ofNodes);
  const after = [];
  await ask(
    own,
    (res) => {
      res.setHeader('X-A', '1').end('a');
      after.push(told(res));
    },
    GET,
  );
  expect(after[0][2]).toEqual({ 'x-a': '1' });
});
