/** A reader of errors with a full socket: backpressure, gaps, and a disconnect. */
import { EventEmitter } from 'node:events';
import { ErrorRing } from '../../../../lib/services/error-logs/ring-buffer.js';
import { ErrorStream } from '../../../../lib/http/sse/error-stream.js';
import { until } from '../../../support/until.js';

/** A response whose buffer is full while `takes` is false. */
class FakeResponse extends EventEmitter {
  req = { httpVersionMajor: 1 };
  written = '';
  takes = true;
  destroyed = false;
  writableEnded = false;
  setHeader() {}
  writeHead() {}
  flushHeaders() {}
  write(text) {
    if (this.writableEnded) throw new Error('write after end');
    this.written += text;
    return this.takes;
  }
  /** The socket takes the rest later, or never. */
  end() {
    this.writableEnded = true;
  }
  destroy() {
    this.destroyed = true;
    this.emit('close');
  }
}

const event = (message) => ({ timestamp: null, level: 'error', source: '', message, lines: [] });

function open({ entriesMax = 10, ...options } = {}) {
  const ring = new ErrorRing({ epoch: 7, entriesMax });
  const res = new FakeResponse();
  const closed = [];
  const stream = new ErrorStream(res, {
    ring,
    cursor: '',
    heartbeatMs: 60_000,
    stallMs: 60_000,
    reconnectMs: 2000,
    onClosed: () => closed.push(true),
    ...options,
  });
  const add = (message) => {
    ring.add(event(message));
    stream.pump();
  };
  return { res, add, stream, closed };
}

test('waits for the socket, and counts the dropped errors', () => {
  const { res, add } = open({ entriesMax: 2 });
  res.takes = false;
  add('a');
  const full = res.written;
  for (const message of ['b', 'c', 'd']) add(message);
  expect(res.written).toBe(full);
  res.takes = true;
  res.emit('drain');
  const types = [...res.written.matchAll(/^(?:id: (\S+)\n)?event: (\w+)$/gm)];
  expect(types.map(([, id, type]) => [id, type])).toEqual([
    ['7-1', 'log_error'],
    [undefined, 'gap'],
    ['7-3', 'log_error'],
    ['7-4', 'log_error'],
  ]);
  expect(res.written).toContain('data: {"requested":null,"earliest":"7-3","latest":"7-4"}\n\n');
});

test('a stalled socket is disconnected, and the stream ends', async () => {
  const { res, add, closed } = open({ stallMs: 5 });
  res.takes = false;
  add('a');
  await until(() => closed.length === 1, 'the cut');
  expect(res.destroyed).toBe(true);
  const { written } = res;
  add('b');
  expect(res.written).toBe(written);
});

test('after its end nothing is written, and a reader that does not read the rest is disconnected', async () => {
  const { res, add, stream, closed } = open({ heartbeatMs: 1, stallMs: 20 });
  stream.end();
  const { written } = res;
  expect(() => add('while its socket is not closed yet')).not.toThrow();
  await until(() => closed.length === 1, 'the cut');
  expect(res.written).toBe(written);
});
