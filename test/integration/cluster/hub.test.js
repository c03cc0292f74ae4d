/** Two hubs on one Redis: one writes the logs of jobs, the other follows them. */
import { JobHub } from '../../../lib/streams/hub.js';
import { RedisLink } from '../../../lib/streams/redis-link.js';
import { hubOptions } from '../../support/streams/hub-options.js';
import { scripts } from '../../../lib/cluster/client/scripts.js';
import { sharedReactors } from '../../../lib/internal/native/reactor.js';
import { startRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';

const PREFIX = '{t}:';
const LEASE_MS = 2000;
const STOP = { type: 'complete', reason: 'stop' };
const FACE = { dialect: 'chat', id: 'chatcmpl-T', tail: 'T', model: 'm', created: 1_700_000_000 };

let server;
/** @type {Member} */
let a;
/** @type {Member} */
let b;
let jobs = 0;

/** A hub with a separate link, as in a process of a deployment. */
class Member {
  /** @param {string} name @param {number[]} reactors indexes of shared ones */
  constructor(name, reactors) {
    this.name = name;
    const shared = sharedReactors(3);
    const all = reactors.map((index) => shared[index]);
    this.link = new RedisLink({
      ...{ reactor: all[0], address: { host: '127.0.0.1', port: server.port }, process: name },
      ...{ prefix: PREFIX, leaseMs: LEASE_MS, scripts: { finish: scripts().finish } },
    });
    this.hub = new JobHub({ ...hubOptions, reactors: all, link: this.link });
    this.records = 0;
    this.events = [];
    for (const event of ['fenced', 'dataLoss', 'replicaMissing', 'replicaBroken', 'purged']) {
      this.hub.events.on(event, (...args) => this.events.push([event, ...args]));
    }
  }

  isConnected() {
    return until(() => this.link.state === 'ok', `${this.name} to connect`);
  }

  create(id, options = {}) {
    const handle = this.hub.create({ ...this.options(id), ...options });
    this.hub.start(handle);
    return handle;
  }

  options(id) {
    this.records += 1;
    const policy = { onDisconnect: 'continue', disconnectGraceMs: 0, maxWallMs: 600_000 };
    return { jobId: id, record: this.records, ...policy };
  }

  replica(id) {
    return this.hub.replica({ jobId: id, leaseMs: LEASE_MS });
  }

  /** Reads frames from now on; `text` grows until `end` is the reason of the end. */
  read(members, options) {
    const list = Array.isArray(members) ? members : [members];
    const reading = { text: '', end: undefined, opened: undefined };
    const subscriber = this.hub.openStream(
      list.map((member) => ({ cursor: '', ...member })),
      {
        onOpen(finished) {
          reading.opened = finished;
          if (finished) reading.end = 'finished';
          else subscriber.acknowledge();
        },
        onFrames(frames) {
          reading.text += frames.toString();
          subscriber.acknowledge();
        },
        onEnd: (reason) => (reading.end = reason),
      },
      options,
    );
    reading.stop = () => subscriber.detach();
    return reading;
  }

  close() {
    this.hub.close();
    this.link.close();
  }
}

/** A job in the state after `admit`. */
async function admit(id, owner = 'a') {
  const fields = ['owner', owner, 'attempt', '1', 'status', 'queued', 'principal', 'me'];
  await server.call('HSET', `${PREFIX}job:${id}`, ...fields, 'created_us', '1', 'choices', '1');
  await server.call('XADD', `${PREFIX}log:${id}`, '1-0', 'r', '{}');
}

const newId = () => `job_${++jobs}`;
const isOver = (reading) => until(() => reading.end !== undefined, 'the end of a stream');
const idsOf = (text) => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
const log = (id) => server.call('XRANGE', `${PREFIX}log:${id}`, '-', '+');

/** Entries of every kind. */
const ENTRIES = [
  { kind: 'reasoning', text: 'hm\r\n' },
  { kind: 'text', text: 'H\u00e9' },
  { kind: 'text', text: 'llo', aux: '{"content":[]}' },
  { kind: 'tool_call', text: 'call_a', aux: 'f' },
  { kind: 'tool_arguments', text: '{"x":' },
  { kind: 'tool_arguments', text: '1}' },
  { kind: 'refusal', text: 'no' },
  { kind: 'extra', text: '{"signature":"s"}' },
  { kind: 'text', text: '' },
  { kind: 'text', text: 'end' },
];

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  [a, b] = [new Member('a', [0]), new Member('b', [1])];
  await Promise.all([a.isConnected(), b.isConnected()]);
});
afterEach(() => [a, b].forEach((member) => member.close()));

test('a log is read elsewhere from every cursor, live and after its end', async () => {
  const id = newId();
  await admit(id);
  const handle = a.create(id);
  const replica = b.replica(id);
  const here = a.read({ handle });
  const readings = [b.read({ handle: replica })];
  for (const [i, entry] of ENTRIES.entries()) {
    a.hub.appendEntry(handle, entry);
    if (i % 3 === 2) await a.hub.flush();
    // The owner has this id; it may not be in Redis yet.
    readings.push(b.read({ handle: replica, cursor: `1-${i + 1}` }));
  }
  a.hub.finish(handle, { ...STOP, usage: { prompt_tokens: 3, completion_tokens: 9, cached: 1 } });
  await isOver(here);
  await Promise.all(readings.map(isOver));
  const frames = here.text.split(/(?=^id: )/m);
  expect(idsOf(here.text)).toEqual(Array.from({ length: 11 }, (_, i) => `1-${i + 1}`));
  for (const [cursor, reading] of readings.entries()) {
    expect(reading.text).toBe([frames[0], ...frames.slice(1 + cursor)].join(''));
  }
  for (let cursor = 1; cursor <= 11; cursor += 1) {
    const late = b.read({ handle: replica, cursor: `1-${cursor}` });
    await isOver(late);
    expect(late.text).toBe(cursor === 11 ? '' : [frames[0], ...frames.slice(1 + cursor)].join(''));
    expect(late.opened).toBe(cursor === 11);
  }
  const states = [
    a.hub.snapshot(handle, { items: true }),
    b.hub.snapshot(replica, { items: true }),
  ];
  const [state, there] = await Promise.all(states);
  expect(JSON.stringify(there)).toBe(JSON.stringify(state));
  // A replica that is made now reads the log alone.
  const later = b.read({ handle: b.replica(id) });
  await isOver(later);
  expect(later.text).toBe(here.text);
});

test.each(['chat', 'completions', 'responses', 'ui', 'messages'])(
  'the face %s has the same bytes elsewhere',
  async (dialect) => {
    const id = newId();
    await admit(id);
    const handle = a.create(id, { whole: true });
    const replica = b.hub.replica({ jobId: id, leaseMs: LEASE_MS, whole: true });
    const face = { ...FACE, dialect };
    const readings = [a.read({ handle }, { face }), b.read({ handle: replica }, { face })];
    for (const entry of ENTRIES) {
      a.hub.appendEntry(handle, entry);
      await a.hub.flush();
    }
    a.hub.finish(handle, STOP);
    await Promise.all(readings.map(isOver));
    expect(readings[0].text).not.toBe('');
    expect(readings[1].text).toBe(readings[0].text);
  },
);

test('a fan-in over replicas and own jobs has every event once', async () => {
  const ids = [newId(), newId(), newId()];
  await admit(ids[0]);
  await admit(ids[1]);
  await admit(ids[2], 'b');
  const handles = [a.create(ids[0]), a.create(ids[1])];
  const own = b.create(ids[2]);
  const members = [
    ...ids.slice(0, 2).map((id) => ({ handle: b.replica(id), jobId: id })),
    { handle: own, jobId: ids[2] },
  ];
  const reading = b.read(members, { fanIn: true });
  for (let i = 0; i < 20; i += 1) {
    for (const handle of handles) a.hub.append(handle, `${i} `);
    b.hub.append(own, `${i} `);
    if (i % 5 === 0) await a.hub.flush();
  }
  for (const handle of handles) a.hub.finish(handle, STOP);
  b.hub.finish(own, STOP);
  await isOver(reading);
  const all = Array.from({ length: 20 }, (_, i) => `${i} `).join('');
  const events = [...reading.text.matchAll(/^data: (.*)$/gm)].map(([, json]) => JSON.parse(json));
  for (const id of ids) {
    const tokens = events.filter((event) => event.job_id === id && event.token !== undefined);
    expect(tokens.map(({ token }) => token).join('')).toBe(all);
    expect(events.filter((event) => event.job_id === id && event.reason === 'stop')).toHaveLength(
      1,
    );
  }
  // The last id of a fan-in is a cursor over the set.
  const cursor = idsOf(reading.text).at(-1);
  expect(cursor.split(',').sort()).toEqual(ids.map((id) => `${id}:1-21`).sort());
});

test('jobs of every reactor are written over the one link', async () => {
  const wide = new Member('wide', [2, 0, 1]);
  try {
    await wide.isConnected();
    const ids = Array.from({ length: 6 }, newId);
    for (const id of ids) await admit(id, 'wide');
    const handles = ids.map((id) => wide.create(id));
    const readings = ids.map((id) => b.read({ handle: b.replica(id) }));
    for (let i = 0; i < 50; i += 1) {
      for (const handle of handles) wide.hub.append(handle, `${i} `);
      if (i % 10 === 0) await wide.hub.flush();
    }
    for (const handle of handles) wide.hub.finish(handle, STOP);
    await Promise.all(readings.map(isOver));
    for (const { text } of readings) expect(idsOf(text)).toHaveLength(51);
    // It also follows other logs, on the reactor of the link.
    const id = newId();
    await admit(id);
    const handle = a.create(id);
    const reading = wide.read({ handle: wide.replica(id) });
    a.hub.append(handle, 'x');
    a.hub.finish(handle, STOP);
    await isOver(reading);
    expect(idsOf(reading.text)).toEqual(['1-1', '1-2']);
  } finally {
    wide.close();
  }
});

test('a job that another process takes is fenced, and continued there', async () => {
  const id = newId();
  await admit(id);
  const handle = a.create(id);
  const replica = b.replica(id);
  const here = a.read({ handle });
  const there = b.read({ handle: replica });
  a.hub.append(handle, 'one');
  await until(() => idsOf(there.text).length === 1, 'the first token');
  // The effect of `take`.
  await server.call('HSET', `${PREFIX}job:${id}`, 'owner', 'b', 'attempt', '2');
  await server.call('XADD', `${PREFIX}log:${id}`, '2-0', 'r', '{}');
  const adopted = b.hub.adopt(replica, { ...b.options(id), attempt: 2 });
  // Commands need not wait for that.
  b.hub.append(replica, 'two');
  // The answer may arrive before the entry, which is sent at the end of this turn.
  expect(await adopted).toMatchObject({ attempt: 2 });
  a.hub.append(handle, 'late');
  await isOver(here);
  expect(here.end).toBe('fenced');
  await until(() => a.events.some(([event]) => event === 'fenced'), 'the owner to step down');
  expect(a.events).toContainEqual(['fenced', handle, false]);
  expect(a.hub.ended(handle)).toBe(true);
  b.hub.finish(replica, STOP);
  await isOver(there);
  expect(idsOf(there.text)).toEqual(['1-1', '2-0', '2-1', '2-2']);
  expect((await log(id)).map(([entry]) => entry).slice(-3)).toEqual(['2-0', '2-1', '2-2']);
  // The former owner follows its successor as any other process does.
  const back = a.read({ handle: a.replica(id), cursor: '1-1' });
  await isOver(back);
  expect(idsOf(back.text)).toEqual(['2-0', '2-1', '2-2']);
});

test('a late adoption is refused', async () => {
  const id = newId();
  await admit(id);
  const handle = a.create(id);
  const replica = b.replica(id);
  a.hub.finish(handle, STOP);
  await a.hub.snapshot(handle);
  expect(await b.hub.adopt(replica, { ...b.options(id), attempt: 1 })).toBeNull();
  expect(b.events).toContainEqual(['fenced', replica, false]);
});

test('a job that Redis does not have is missing', async () => {
  const replica = b.replica('job_unknown');
  const reading = b.read({ handle: replica });
  await isOver(reading);
  expect(b.events).toContainEqual(['replicaMissing', replica]);
  expect(await b.hub.snapshot(replica)).toBeNull();
});

/** Runs `meanwhile` in the middle of ten jobs; nothing is lost, doubled or reordered here or there. */
async function streamThrough(meanwhile) {
  const ids = Array.from({ length: 10 }, newId);
  for (const id of ids) await admit(id);
  const handles = ids.map((id) => a.create(id));
  const here = handles.map((handle) => a.read({ handle }));
  const there = ids.map((id) => b.read({ handle: b.replica(id) }));
  let count = 0;
  const append = async (times) => {
    for (let i = 0; i < times; i += 1) {
      count += 1;
      for (const handle of handles) a.hub.append(handle, `${count} `);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  await append(50);
  await until(() => there.every(({ text }) => idsOf(text).length >= 40), 'the first tokens');
  await meanwhile(append, { here, handles, ids });
  await append(20);
  for (const handle of handles) a.hub.finish(handle, STOP);
  await Promise.all([...here, ...there].map(isOver));
  const wanted = Array.from({ length: count + 1 }, (_, i) => `1-${i + 1}`);
  for (const [i, { text }] of there.entries()) {
    expect(idsOf(text)).toEqual(wanted);
    expect(text).toBe(here[i].text);
  }
  for (const id of ids) {
    const entries = await log(id);
    expect(entries.at(-1)[0]).toBe(wanted.at(-1));
  }
}

test('a restart of Redis with its file costs nothing', async () => {
  const own = server;
  server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  const members = [a, b];
  try {
    [a, b] = [new Member('a', [0]), new Member('b', [1])];
    await Promise.all([a.isConnected(), b.isConnected()]);
    await streamThrough(async (append, { here }) => {
      await server.kill();
      await append(100);
      // A local reader is not delayed by any of this.
      await until(() => here.every(({ text }) => text.includes('"150 "')), 'local tokens');
      await server.start();
      await append(10);
    });
  } finally {
    [a, b].forEach((member) => member.close());
    [a, b] = members;
    await server.stop();
    server = own;
  }
});

test('a frozen Redis loses nothing, and does not delay local readers', async () => {
  await streamThrough(async (append, { here }) => {
    server.freeze();
    await append(100);
    await until(() => here.every(({ text }) => text.includes('"150 "')), 'local tokens');
    const { unsent_tokens: unsent } = await a.hub.replication();
    expect(unsent).toBeGreaterThan(0);
    server.thaw();
    await append(10);
  });
});

test('cut connections cost nothing', async () => {
  await streamThrough(async (append) => {
    for (let i = 0; i < 5; i += 1) {
      await server.call('CLIENT', 'KILL', 'TYPE', i % 2 === 0 ? 'normal' : 'pubsub');
      await append(10);
    }
  });
});

test('lost logs are written again, and readers elsewhere continue', async () => {
  await streamThrough(async (append, { handles, ids }) => {
    for (const id of ids) await server.call('DEL', `${PREFIX}log:${id}`);
    await append(10);
    await until(async () => {
      const lengths = await Promise.all(ids.map((id) => server.call('XLEN', `${PREFIX}log:${id}`)));
      return lengths.every((length) => length > 1);
    }, 'the logs to be written anew');
    const losses = a.events.filter(([event]) => event === 'dataLoss').map(([, handle]) => handle);
    expect(losses.sort((x, y) => x - y)).toEqual(handles);
  });
});

test('without memory nothing is dropped', async () => {
  await streamThrough(async (append) => {
    await server.call('CONFIG', 'SET', 'maxmemory', '1');
    await append(50);
    await server.call('CONFIG', 'SET', 'maxmemory', '0');
  });
});
