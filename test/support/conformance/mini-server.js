/**
 * A small server of resumable jobs in Sluice's dialect, for tests of the conformance suite. It keeps every rule; a
 * fault makes it break one. It is written to be read: a job is an array of events and a set of readers.
 */
import http from 'node:http';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';

const HEADS = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };

/** Requests that the fault `key-race` waits for. */
const RACERS = 20;

/** The content of the deltas of an answer, by the given faults. */
class UpstreamParser {
  #text = '';
  #data = [];
  #last;
  #started = false;

  constructor(has) {
    this.has = has;
    this.decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  }

  /** @returns {string[]} payloads of whole events */
  feed(bytes) {
    const { has } = this;
    this.#text += has('split-utf-8')
      ? bytes.toString()
      : this.decoder.decode(bytes, { stream: true });
    if (!this.#started && !has('keep-upstream-bom')) this.#text = this.#text.replace(/^\ufeff/, '');
    if (this.#text !== '') this.#started = true;
    const payloads = [];
    const newline = has('lf-only') ? /\n/ : has('crlf-only') ? /\r\n/ : /\r\n|\n|\r(?!$)/;
    const lines = this.#text.split(newline);
    this.#text = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data:')) this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
      else if (line === '') {
        if (this.#data.length > 0) payloads.push((this.#last = this.#data.join('\n')));
        else if (has('repeat-on-comment') && this.#last) payloads.push(this.#last);
        this.#data = [];
      }
    }
    return payloads;
  }
}

class Job {
  events = [];
  readers = new Set();
  ended = false;
  dropped = 0;
  call;

  constructor(server, id, body) {
    Object.assign(this, { server, id, body });
  }

  has(fault) {
    return this.server.has(fault);
  }

  append(type, data) {
    const id = this.has('same-ids') ? '1-1' : `1-${this.events.length + 1}`;
    const event = { id, type, data: { job_id: this.id, ...data } };
    this.events.push(event);
    const { logLimitBytes } = this.server;
    if (type === 'token') {
      this.size = (this.size ?? 0) + data.token.length;
      while (this.size > logLimitBytes) this.size -= this.events[this.dropped++].data.token.length;
    }
    for (const reader of this.readers) reader.push(event);
  }

  end(type, data = {}) {
    if (this.ended && !this.has('two-endings-in-race') && !this.has('cancel-after-end')) return;
    if (this.ended && this.has('cancel-after-end')) this.events.pop();
    this.ended = true;
    clearTimeout(this.timer);
    this.append(type, data);
    if (this.has('text-after-end')) this.append('token', { token: 'late' });
    if (this.has('two-endings')) this.append(type, data);
    for (const reader of this.readers) reader.finish();
    if (!this.has('keeps-upstream')) this.call?.destroy();
    this.server.release(this);
  }

  async run() {
    const { has } = this.server;
    const body = JSON.stringify({
      stream: true,
      messages: [{ role: 'user', content: this.body.prompt }],
    });
    const call = http.request(`${this.server.upstream}/chat/completions`, {
      method: 'POST',
      agent: false,
    });
    call.on('error', () => {});
    if (!has('call-not-aborted-before-head')) {
      this.call = call;
    }
    call.end(body);
    try {
      const [response] = await once(call, 'response');
      this.call = call;
      if (response.statusCode !== 200) {
        return this.end(has('error-as-complete') ? 'job_complete' : 'job_error', {
          error: { code: 'upstream' },
        });
      }
      const parser = new UpstreamParser((fault) => this.has(fault));
      for await (const bytes of response) {
        for (const payload of parser.feed(bytes)) {
          if (payload === '[DONE]') return this.end('job_complete', { reason: 'stop' });
          const content = JSON.parse(payload).choices[0].delta.content;
          if (content !== undefined) this.append('token', { token: this.#token(content) });
        }
        await Promise.all([...this.readers].map((reader) => reader.writable()));
      }
      this.end('job_error', { error: { code: 'incomplete' } });
    } catch {
      if (this.has('silent-error')) for (const reader of this.readers) reader.res.end();
      else {
        this.end(has('error-as-complete') ? 'job_complete' : 'job_error', {
          error: { code: 'cut' },
        });
      }
    }
  }

  #token(text) {
    if (this.has('strip-bom')) return text.replaceAll('\ufeff', '');
    if (this.has('normalize-newlines')) return text.replaceAll(/\r\n?/g, '\n');
    // oxlint-disable-next-line no-control-regex
    if (this.has('strip-controls')) return text.replaceAll(/[\0-\x08]/g, '');
    if (this.has('truncate')) return text.slice(0, 64 * 1024);
    return text;
  }

  left() {
    if (this.readers.size > 0 || this.ended) return;
    const { on_disconnect: policy = 'continue', disconnect_grace_ms: graceMs = 30_000 } = this.body;
    if (this.has('cancel-on-leave')) this.end('job_cancelled', { reason: 'client_disconnected' });
    if (policy !== 'cancel' || this.has('never-cancel-on-leave')) return;
    this.timer = setTimeout(
      () => this.end('job_cancelled', { reason: 'client_disconnected' }),
      graceMs,
    );
  }
}

/** A connection of a reader of jobs. */
class Reader {
  finished = false;
  cursors = {};

  constructor(server, res, jobs, many) {
    Object.assign(this, { server, res, jobs, many });
    this.stalled = 0;
    this.waiting = server.has('buffer') ? [] : undefined;
    if (!server.has('no-heartbeat')) {
      this.beat = setInterval(() => {
        if (server.has('heartbeat-as-text')) {
          this.push({ id: '0-0', type: 'token', data: { token: ' ' } });
        } else res.write(': keep-alive\n');
      }, server.heartbeatMs);
    }
    res.on('close', () => this.leave());
  }

  leave() {
    clearInterval(this.beat);
    for (const job of this.jobs) {
      job.readers.delete(this);
      job.left();
    }
  }

  frame({ id, type, data }) {
    const { server } = this;
    let json = JSON.stringify(data);
    if (server.has('raw-newlines')) json = json.replaceAll('\\n', '\n');
    this.cursors[data.job_id] = id;
    const cursor = this.many ? Object.entries(this.cursors).map((pair) => pair.join(':')) : [id];
    const field = server.has('unknown-field') ? 'note: x\n' : '';
    return `${field}id: ${cursor.join(',')}\nevent: ${type}\ndata: ${json}\n\n`;
  }

  push(event) {
    const { res, server } = this;
    if (this.skipNext) {
      this.skipNext = false;
      return;
    }
    if (server.has('drop-when-slow') && res.writableNeedDrain) return;
    let frame = this.frame(event);
    const isLast = event.type.startsWith('job_');
    if (server.has('no-last-blank-line') && isLast) frame = frame.slice(0, -1);
    if (this.waiting !== undefined && !isLast) this.waiting.push(frame);
    else {
      res.write(
        (this.waiting?.splice(0).join('') ?? '') + frame,
        server.has('latin1') ? 'latin1' : 'utf8',
      );
    }
  }

  async writable() {
    const { res, server } = this;
    if (!res.writableNeedDrain || server.has('drop-when-slow')) return;
    const blocks = server.has('slow-reader-blocks');
    const cut = blocks ? undefined : setTimeout(() => res.destroy(), server.stallMs);
    const over = new AbortController();
    const of = (name) => once(res, name, { signal: over.signal }).catch(() => {});
    await Promise.race([of('drain'), of('close')]);
    over.abort();
    clearTimeout(cut);
  }

  finish() {
    if (this.many && this.jobs.some(({ ended }) => !ended)) return;
    clearInterval(this.beat);
    if (this.server.has('cut-at-end')) setTimeout(() => this.res.destroy(), 20);
    else this.res.end();
  }
}

export class MiniServer {
  jobs = new Map();
  keys = new Map();
  queue = [];
  racers = 0;
  running = 0;

  /** @param {{upstream: string, faults?: string[], concurrency?: number, heartbeatMs?: number, stallMs?: number, logLimitBytes?: number}} options */
  constructor({
    upstream,
    faults = [],
    concurrency = 100,
    heartbeatMs = 15_000,
    stallMs = 10_000,
    logLimitBytes = Infinity,
  }) {
    Object.assign(this, { upstream, concurrency, heartbeatMs, stallMs, logLimitBytes });
    this.has = (fault) => faults.includes(fault);
    this.http = http.createServer((req, res) => this.#route(req, res));
  }

  async listen() {
    await once(this.http.listen(0, '127.0.0.1'), 'listening');
    this.url = `http://127.0.0.1:${this.http.address().port}`;
  }

  close() {
    for (const job of this.jobs.values()) job.call?.destroy();
    this.http.closeAllConnections();
    this.http.close();
  }

  drain() {
    this.draining = true;
    for (const job of this.jobs.values()) {
      if (this.has('drain-cuts')) for (const { res } of job.readers) res.destroy();
      else job.end('job_cancelled', { reason: 'shutdown' });
    }
  }

  start(job) {
    if (this.running >= this.concurrency) return void this.queue.push(job);
    job.running = true;
    this.running += 1;
    void job.run();
  }

  release(job) {
    if (job.running) this.running -= 1;
    job.running = false;
    const index = this.queue.findIndex((one) => !one.ended || this.has('runs-cancelled'));
    if (index >= 0 && this.running < this.concurrency) this.start(this.queue.splice(index, 1)[0]);
  }

  async #route(req, res) {
    const url = new URL(req.url, 'http://x');
    const json = (status, body) =>
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    res.on('error', () => {});
    const [, id, action] = /^\/v1\/jobs\/([^/]+)(\/cancel)?$/.exec(url.pathname) ?? [];
    if (url.pathname === '/v1/jobs') return this.#submit(req, json);
    if (url.pathname === '/v1/stream' || url.pathname === '/v1/events') {
      return this.#stream(req, res, url, json);
    }
    const job = this.jobs.get(id);
    if (job === undefined) return json(this.has('cancel-unknown-500') ? 500 : 404, {});
    if (action) {
      if (job.cancelled && this.has('second-cancel-refused')) return json(409, {});
      job.cancelled = true;
      job.end(this.has('cancel-as-complete') ? 'job_complete' : 'job_cancelled', {
        reason: 'client_request',
      });
    }
    const states = { job_complete: 'completed', job_error: 'failed', job_cancelled: 'cancelled' };
    return json(200, { job_id: id, status: states[job.events.at(-1)?.type] ?? 'running' });
  }

  async #submit(req, json) {
    let body = '';
    for await (const chunk of req) body += chunk;
    if (this.draining) return json(503, {});
    const key = req.headers['idempotency-key'];
    const known = this.has('ignore-key') ? undefined : this.keys.get(key);
    if (key !== undefined && known !== undefined) {
      if (known.text !== body && !this.has('other-body-replayed')) return json(422, {});
      return json(200, known.answer);
    }
    const id = `job_${randomUUID()}`;
    const answer = { job_id: id, status: 'queued', stream_url: `/v1/stream?job_id=${id}` };
    // As if all requests had looked the key up before the first one stored it.
    const late = this.has('key-race') && (this.racers += 1) < RACERS;
    if (key !== undefined && !late) this.keys.set(key, { text: body, answer });
    const job = new Job(this, id, JSON.parse(body));
    this.jobs.set(id, job);
    this.start(job);
    return json(201, answer);
  }

  /** Index of the first event to send; -1: unknown cursor. */
  #position(job, cursor) {
    if (cursor === undefined) return this.has('no-replay') ? job.events.length : 0;
    const [, seq] = /^1-(\d+)$/.exec(cursor) ?? [];
    if (seq === undefined || Number(seq) > job.events.length) return -1;
    return Number(seq) - (this.has('resume-doubles') ? 1 : 0) + (this.has('resume-loses') ? 1 : 0);
  }

  #stream(req, res, url, json) {
    const many = url.pathname === '/v1/events';
    let jobs = url.searchParams.getAll('job_id').map((id) => this.jobs.get(id));
    if (jobs.includes(undefined)) {
      return this.has('unknown-job-is-empty') ? res.writeHead(200, HEADS).end() : json(404, {});
    }
    if (many && this.has('fan-in-first-only')) jobs = jobs.slice(0, 1);
    const query = this.has('ignore-query')
      ? undefined
      : (url.searchParams.get('last_event_id') ?? undefined);
    const cursor =
      this.has('fan-in-from-start') && many ? undefined : (req.headers['last-event-id'] ?? query);
    const cursors = many
      ? Object.fromEntries((cursor ?? '').split(',').map((one) => one.split(':')))
      : undefined;
    const starts = jobs.map((job) => [job, cursors === undefined ? cursor : cursors[job.id]]);
    const [[first]] = starts;
    const position = this.#position(first, starts[0][1]);
    if (
      !many &&
      first.ended &&
      cursor !== undefined &&
      position >= first.events.length &&
      !this.has('end-not-204')
    ) {
      return res.writeHead(204).end();
    }
    const head = this.has('wrong-type') ? { ...HEADS, 'content-type': 'text/plain' } : HEADS;
    res.writeHead(200, this.has('cacheable') ? { 'content-type': HEADS['content-type'] } : head);
    res.flushHeaders();
    const reader = new Reader(this, res, jobs, many);
    for (const [job, after] of starts) this.#replay(job, after, reader, many ? after : cursor);
    reader.skipNext = this.has('resume-misses-live') && cursor !== undefined;
    if (jobs.every(({ ended }) => ended)) reader.finish();
  }

  #replay(job, after, reader, cursor) {
    let from = this.#position(job, after);
    const gap = from < 0 || (from < job.dropped && (from > 0 || job.dropped > 0));
    if (gap && !this.has('no-gap')) {
      reader.res.write(`event: gap\ndata: ${JSON.stringify({ job_id: job.id })}\n\n`);
    }
    if (from < 0) from = this.has('bad-cursor-is-end') ? job.events.length : 0;
    if (cursor !== undefined) reader.cursors[job.id] = cursor;
    for (const event of job.events.slice(Math.max(from, job.dropped))) reader.push(event);
    if (job.ended) return;
    if (!this.has('grace-timer-stays')) clearTimeout(job.timer);
    job.readers.add(reader);
  }
}
