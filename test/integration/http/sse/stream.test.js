/**
 * `GET /v1/stream`: the bytes on the wire, line by line.
 */
import http from 'node:http';
import net from 'node:net';
import { once } from 'node:events';
import compression from 'compression';
import express from 'express';
import { createGateway } from '../../../../lib/index.js';
import {
  cleanUp,
  client,
  everyEgress,
  start as startGateway,
  stopAll,
} from '../../../support/gateway/gateway.js';
import { handProvider, listProvider } from '../../../support/providers/providers.js';
import { openStream } from '../../../support/sse/sse-client.js';
import { until, untilStill } from '../../../support/until.js';

describe.each(everyEgress)('egress %s, reactors: %d', (egress, reactors) => {
  afterEach(stopAll);

  const start = (provider, options) => startGateway({ provider, egress, reactors, ...options });

  async function finishedJob(server) {
    const { body: job } = await server.submit({ prompt: 'hi' });
    return { job, path: job.stream_url, stream: await server.read(job.stream_url) };
  }

  describe('the head', () => {
    test('has the status, headers and first line of the contract', async () => {
      const hand = handProvider();
      const server = await start(hand.provider);
      const { body: job } = await server.submit({ prompt: 'hi' });
      const stream = await server.stream(job.stream_url, {
        headers: { 'Accept-Encoding': 'gzip, br', Accept: 'text/event-stream' },
      });
      expect(stream.status).toBe(200);
      expect(stream.headers['content-type']).toBe('text/event-stream');
      expect(stream.headers['cache-control']).toBe('no-cache, no-transform');
      expect(stream.headers.connection).toBe('keep-alive');
      expect(stream.headers['x-accel-buffering']).toBe('no');
      expect(stream.headers['content-length']).toBeUndefined();
      expect(stream.headers['content-encoding']).toBeUndefined();
      expect(stream.headers['x-request-id']).toEqual(expect.any(String));
      await until(() => stream.raw.length > 0, 'the first line');
      expect(stream.raw.split('\n')[0]).toBe('retry: 2000');
      stream.close();
    });

    test('is 404 for a job that is not there, as JSON', async () => {
      const server = await start(listProvider(['a']));
      const { status, body } = await server.get('/v1/stream?job_id=job_nothere');
      expect(status).toBe(404);
      expect(body.error).toMatchObject({ code: 'job_not_found', param: 'job_id' });
    });

    test.each([
      ['/v1/stream', 'missing_field', 'job_id'],
      ['/v1/stream?job_id=a&job_id=b', 'invalid_type', 'job_id'],
      ['/v1/stream?job_id=a&last_event_id=1-1&last_event_id=1-2', 'invalid_type', 'last_event_id'],
      ['/v1/events', 'missing_field', 'job_id'],
    ])('%s is refused: %s %s', async (path, code, param) => {
      const server = await start(listProvider(['a']));
      const { status, body } = await server.get(path);
      expect(status).toBe(400);
      expect(body.error).toMatchObject({ code, param });
    });
  });

  describe('the events', () => {
    test('are the bytes of the contract, and the response ends after the terminal one', async () => {
      const server = await start(listProvider(['Hello', ' world']));
      const { job, stream } = await finishedJob(server);
      const blocks = stream.raw.split('\n\n');
      const id = job.job_id;
      // `retry:` is a line of the first block: some clients treat a block without data as a message.
      expect(blocks[0]).toBe(
        `retry: 2000\nid: 1-1\nevent: token\ndata: {"job_id":"${id}","token":"Hello"}`,
      );
      expect(blocks[1]).toBe(`id: 1-2\nevent: token\ndata: {"job_id":"${id}","token":" world"}`);
      expect(blocks[2].startsWith('id: 1-3\nevent: job_complete\ndata: {')).toBe(true);
      expect(blocks.slice(3)).toEqual(['']);
      expect(stream.ended).toBe(true);
      const { data } = stream.last();
      expect(data).toEqual({
        job_id: id,
        reason: 'stop',
        usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3, estimated: true },
        metrics: {
          queue_ms: expect.any(Number),
          ttft_ms: expect.any(Number),
          duration_ms: expect.any(Number),
          tokens: 2,
          tokens_per_second: expect.any(Number),
        },
      });
      expect(data.metrics.ttft_ms).toBeGreaterThanOrEqual(data.metrics.queue_ms);
      expect(data.metrics.duration_ms).toBeGreaterThanOrEqual(data.metrics.ttft_ms);
    });

    test('carry any text without a raw line break or control character in a frame', async () => {
      const tokens = [
        'a\nb',
        '\r\n',
        '\r',
        'data: x\n\n',
        '\u0000\u0001\u001f',
        '"\\',
        '\u2028é😀',
        '',
      ];
      const server = await start(listProvider(tokens));
      const { job, stream } = await finishedJob(server);
      expect(stream.text).toBe(tokens.join(''));
      // oxlint-disable-next-line no-control-regex
      expect(stream.raw).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
      const { body } = await server.get(`/v1/jobs/${job.job_id}`);
      expect(body.text).toBe(tokens.join(''));
    });

    test('are sent one by one, as the provider yields them', async () => {
      const hand = handProvider();
      const server = await start(hand.provider);
      const { body: job } = await server.submit({ prompt: 'hi' });
      const stream = await server.stream(job.stream_url);
      const run = await hand.call(0);
      for (const token of ['one', 'two', 'three']) {
        run.push(token);
        await until(() => stream.text.endsWith(token), token);
      }
      run.end();
      await stream.done;
      expect(stream.text).toBe('onetwothree');
    });

    test('report the failure of the job, in one terminal event', async () => {
      const hand = handProvider();
      const server = await start(hand.provider, { exposeErrors: true });
      const { body: job } = await server.submit({ prompt: 'hi' });
      const run = await hand.call(0);
      run.push('a');
      run.fail(new Error('the model fell over'));
      const stream = await server.read(job.stream_url);
      expect(stream.ids).toEqual(['1-1', '1-2']);
      expect(stream.last()).toMatchObject({
        type: 'job_error',
        data: {
          job_id: job.job_id,
          error: { code: 'provider_error', type: 'provider_error', message: 'the model fell over' },
          metrics: { tokens: 1 },
        },
      });
    });

    test('report the cancellation of the job', async () => {
      const hand = handProvider();
      const server = await start(hand.provider);
      const { body: job } = await server.submit({ prompt: 'hi' });
      const stream = await server.stream(job.stream_url);
      const run = await hand.call(0);
      run.push('a');
      await until(() => stream.events.length === 1, 'a token');
      await server.cancel(job.job_id);
      await stream.done;
      expect(stream.ended).toBe(true);
      expect(stream.last()).toMatchObject({
        type: 'job_cancelled',
        data: { job_id: job.job_id, reason: 'client_request', metrics: { tokens: 1 } },
      });
      await until(() => run.signal.aborted && run.returned, 'the provider to stop');
      expect(hand.calls).toHaveLength(1);
    });

    test('announce a new attempt before its tokens', async () => {
      let calls = 0;
      const server = await start(
        async function* flaky() {
          calls += 1;
          if (calls === 1) throw Object.assign(new Error('busy'), { retryable: true });
          yield 'second';
        },
        { retry: { attempts: 2, baseMs: 0, capMs: 0 } },
      );
      const { job, stream } = await finishedJob(server);
      expect(stream.events.slice(0, 2)).toMatchObject([
        { id: '2-0', type: 'job_retry', json: `{"job_id":"${job.job_id}","attempt":2}` },
        { id: '2-1', type: 'token' },
      ]);
      expect(stream.last().type).toBe('job_complete');
    });

    test('are broken by a comment after silence, ended by a single newline', async () => {
      const hand = handProvider();
      const server = await start(hand.provider, { heartbeatMs: 30 });
      const { body: job } = await server.submit({ prompt: 'hi' });
      const stream = await server.stream(job.stream_url);
      await until(() => stream.raw.split(': keep-alive').length > 3, 'three comments');
      expect(stream.raw).toMatch(/^retry: 2000\n(: keep-alive\n){3,}$/);
      expect(stream.events).toEqual([]);
      stream.close();
    });
  });

  describe('the cursor', () => {
    test('replays everything after it: header first, then query', async () => {
      const server = await start(listProvider(['a', 'b', 'c']));
      const { path } = await finishedJob(server);
      const all = ['1-1', '1-2', '1-3', '1-4'];
      for (let seen = 0; seen < 4; seen += 1) {
        const cursor = `1-${seen}`;
        const byHeader = await server.read(path, { headers: { 'Last-Event-ID': cursor } });
        expect(byHeader.ids).toEqual(all.slice(seen));
        const byQuery = await server.read(`${path}&last_event_id=${cursor}`);
        expect(byQuery.ids).toEqual(all.slice(seen));
      }
      const both = await server.read(`${path}&last_event_id=1-1`, {
        headers: { 'Last-Event-ID': '1-3' },
      });
      expect(both.ids).toEqual(['1-4']);
      const empty = await server.read(`${path}&last_event_id=1-3`, {
        headers: { 'Last-Event-ID': '' },
      });
      expect(empty.ids).toEqual(['1-4']);
    });

    test('at the terminal event is answered 204', async () => {
      const server = await start(listProvider(['a']));
      const { path } = await finishedJob(server);
      const stream = await server.read(path, { headers: { 'Last-Event-ID': '1-2' } });
      expect(stream.status).toBe(204);
      expect(stream.raw).toBe('');
    });

    test.each(['1-9', '2-1', 'rubbish', '1', '-1', '1-1-1', '01-1', '1-1,1-2', '%00'])(
      '%s gets a gap and everything',
      async (cursor) => {
        const server = await start(listProvider(['a', 'b']));
        const { job, path } = await finishedJob(server);
        const stream = await server.read(`${path}&last_event_id=${cursor}`);
        expect(stream.events[0]).toMatchObject({ type: 'gap' });
        expect(stream.events[0].id).toBeUndefined();
        expect(stream.events[0].data).toEqual({
          job_id: job.job_id,
          requested: decodeURIComponent(cursor),
          earliest: '1-1',
          latest: '1-3',
        });
        expect(stream.ids.slice(1)).toEqual(['1-1', '1-2', '1-3']);
      },
    );

    test('is honoured in the middle of a running job, with nothing lost at the seam', async () => {
      const hand = handProvider();
      const server = await start(hand.provider);
      const { body: job } = await server.submit({ prompt: 'hi' });
      const run = await hand.call(0);
      let cursor = '';
      const seen = [];
      for (let round = 0; round < 20; round += 1) {
        // Not awaited: the tokens are produced while it opens.
        const stream = openStream(server.url + job.stream_url, {
          headers: { 'Last-Event-ID': cursor },
        });
        run.push(`${2 * round} `, `${2 * round + 1} `);
        await until(() => stream.events.length >= 1, 'a token');
        stream.close();
        seen.push(...stream.ids);
        cursor = seen.at(-1);
      }
      run.end();
      const rest = await server.read(job.stream_url, { headers: { 'Last-Event-ID': cursor } });
      seen.push(...rest.ids);
      expect(seen).toEqual(Array.from({ length: 41 }, (_, i) => `1-${i + 1}`));
    });

    test('for trimmed text gets a gap, then the remaining text', async () => {
      const tokens = Array.from({ length: 50 }, (_, i) => `token-${1000 + i} `);
      const server = await start(listProvider(tokens), { logBytesMax: 200 });
      const { body: job } = await server.submit({ prompt: 'hi' });
      await until(
        async () => (await server.get(`/v1/jobs/${job.job_id}`)).body.status === 'completed',
        'the end',
      );
      const stream = await server.read(job.stream_url, {
        headers: { 'Last-Event-ID': '1-2' },
      });
      expect(stream.events[0].type).toBe('gap');
      const gap = stream.events[0].data;
      expect(stream.ids[1]).toBe(gap.earliest);
      expect(gap).toMatchObject({ requested: '1-2', latest: '1-51' });
      const { body } = await server.get(`/v1/jobs/${job.job_id}`);
      expect(body.text).toBe(stream.text);
      expect(body.text_truncated).toBe(true);
    });
  });

  describe('the connection', () => {
    test('is kept and reused after the stream has ended', async () => {
      const server = await start(listProvider(['a', 'b']));
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      cleanUp(() => agent.destroy());
      const { body: job } = await server.submit({ prompt: 'hi' });
      const first = await server.read(job.stream_url, { agent });
      const port = first.response.socket?.localPort ?? agent.freeSockets;
      await new Promise(setImmediate);
      const second = await server.read(job.stream_url, { agent });
      expect(second.text).toBe('ab');
      expect(second.response.req.reusedSocket).toBe(true);
      expect(port).toBeDefined();
    });

    test('is closed after the stream, and announced so, on request of the client', async () => {
      const server = await start(listProvider(['a']));
      const { body: job } = await server.submit({ prompt: 'hi' });
      const socket = net.connect(new URL(server.url).port, '127.0.0.1');
      cleanUp(() => socket.destroy());
      let raw = '';
      socket.setEncoding('utf8').on('data', (chunk) => (raw += chunk));
      socket.write(`GET ${job.stream_url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      await once(socket, 'end');
      expect(raw).toMatch(/^connection: close\r$/im);
      expect(raw).toContain('job_complete');
      expect(raw.endsWith('\r\n0\r\n\r\n')).toBe(true);
    });

    test('passes a compression middleware untouched and unheld', async () => {
      const hand = handProvider();
      const gateway = createGateway({ provider: hand.provider, logger: false, egress });
      cleanUp(() => gateway.close({ drainMs: 0 }));
      const app = express()
        .use(compression({ threshold: 0 }))
        .use('/ai', gateway.router());
      const server = await new Promise((resolve) => {
        const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
      });
      cleanUp(() => new Promise((resolve) => server.close(resolve)));
      cleanUp(() => server.closeAllConnections());
      const base = `http://127.0.0.1:${server.address().port}`;
      const { body: job } = await client(`${base}/ai`).submit({ prompt: 'hi' });
      expect(job.stream_url).toBe(`/ai/v1/stream?job_id=${job.job_id}`);
      const stream = await client(base).stream(job.stream_url, {
        headers: { 'Accept-Encoding': 'gzip' },
      });
      (await hand.call(0)).push('now');
      await until(() => stream.text === 'now', 'the token');
      expect(stream.headers['content-encoding']).toBeUndefined();
      stream.close();
    });

    test('beyond maxStreams is answered 200 with a longer retry, and closed', async () => {
      const hand = handProvider();
      const server = await start(hand.provider, { maxStreams: 1 });
      const { body: job } = await server.submit({ prompt: 'hi' });
      const first = await server.stream(job.stream_url);
      const second = await server.read(job.stream_url);
      expect(second.status).toBe(200);
      expect(second.raw).toBe('retry: 15000\n');
      first.close();
    });
  });

  describe('a reader that does not read', () => {
    /** A raw connection that sends the request and then does not read. */
    function sleeper({ server: { port } }, path) {
      const socket = net.connect(port, '127.0.0.1');
      socket.pause();
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      cleanUp(() => socket.destroy());
      return socket;
    }

    /** Yields large tokens without a pause, and counts them. */
    function firehose() {
      const state = { pulled: 0 };
      const token = 'x'.repeat(16 << 10);
      state.provider = async function* hose(_request, { signal }) {
        while (!signal.aborted) {
          state.pulled += 1;
          yield token;
        }
      };
      return state;
    }

    test('stops the provider: bounded by the window and the socket buffers', async () => {
      const hose = firehose();
      const server = await start(hose.provider, { streamCapacity: 32, stallMs: 60_000 });
      // The stream is requested before a token can be produced without a reader.
      const gate = await server.submit({ prompt: 'hi' });
      sleeper(server, gate.body.stream_url);
      const stoppedAt = await untilStill(() => hose.pulled, 'the provider to stop');
      // The window, and no more than 32 MiB with the kernel.
      expect(stoppedAt).toBeLessThan(32 + 2048);
    });

    test('is cut; other readers and the provider continue', async () => {
      const hose = firehose();
      let server, job, other, isOtherCut;
      // A moment in which nothing runs on a busy machine cuts the others, too: such a moment is
      // shorter than the longest of these.
      for (let stallMs = 300; ; stallMs *= 4) {
        server = await start(hose.provider, { streamCapacity: 32, stallMs });
        ({ body: job } = await server.submit({ prompt: 'hi' }));
        const lazy = sleeper(server, job.stream_url);
        other = await server.stream(job.stream_url);
        isOtherCut = false;
        void other.closed.then(() => (isOtherCut = true));
        await until(
          () => isOtherCut || lazy.destroyed || other.events.length > 2000,
          'the others to go on',
        );
        if (!isOtherCut || stallMs > 10_000) break;
        await server.cancel(job.job_id);
      }
      expect(isOtherCut).toBe(false);
      expect(other.events.length).toBeGreaterThan(32);
      await server.cancel(job.job_id);
      await other.done;
      expect(other.last().type).toBe('job_cancelled');
    });
  });
});
