/**
 * Crashes, and state decided in memory and written from there: a server is killed at random moments
 * while clients change keys, move credits and talk in conversations, over and over with one data file.
 * The acknowledged state is compared with the state of the next server.
 *
 * SLUICE_CRASH_ROUNDS is the number of rounds, SLUICE_CRASH_SEED the seed of the moments.
 */
import { SqliteStore } from '../../lib/jobs/storage/sqlite.js';
import { file, killAll, removeFiles } from '../support/crash/cli.js';
import { crashRounds, rounds, seed } from '../support/crash/rounds.js';
import { dataFile } from '../support/files/data-file.js';
import { stopAll } from '../support/gateway/gateway.js';
import { randomFrom } from '../support/random.js';
import { openStream } from '../support/sse/sse-client.js';
import { until } from '../support/until.js';

afterEach(async () => {
  killAll();
  await stopAll();
});
afterAll(removeFiles);

const json = { 'content-type': 'application/json' };

/** A client with its own keys, so that it knows their values: the last answered one, or a later one. */
class KeyWriter {
  #name;
  #random;
  #n = 0;
  /** By key, the possible values: the acknowledged one, and unanswered ones. */
  #possible = new Map();
  highest = 0;
  acknowledged = 0;

  constructor(name, random) {
    this.#name = name;
    this.#random = random;
  }

  async act(server) {
    this.#n += 1;
    const choice = this.#random();
    const keys = choice < 0.5 ? [this.#key()] : [`${this.#name}/x`, `${this.#name}/y`];
    // Both are written in one transaction: they never differ.
    const value = choice > 0.4 && choice < 0.5 ? undefined : this.#n;
    const before = keys.map((key) => this.#possible.get(key) ?? [undefined]);
    keys.forEach((key, i) => this.#possible.set(key, [...before[i], value]));
    const versions = await this.#write(server, keys, value);
    this.acknowledged += 1;
    keys.forEach((key) => this.#possible.set(key, [value]));
    for (const version of versions) {
      if (version <= this.highest) throw new Error(`version ${version} after ${this.highest}`);
      this.highest = version;
    }
  }

  #key() {
    return `${this.#name}/${Math.floor(this.#random() * 4)}`;
  }

  async #write(server, keys, value) {
    if (keys.length > 1) {
      const success = keys.map((key) => ({ op: 'put', key, value }));
      const { status, body } = await server.post('/v1/kv/txn', { success });
      if (status !== 200) throw new Error(`answered ${status}`);
      return body.responses.map(({ version }) => version);
    }
    const method = value === undefined ? 'DELETE' : 'PUT';
    const raw = value === undefined ? undefined : JSON.stringify(value);
    const { status, body } = await server.call(method, `/v1/kv/${keys[0]}`, { raw, headers: json });
    if (![200, 201, 204, 404].includes(status)) throw new Error(`answered ${status}`);
    return value === undefined ? [] : [body.version];
  }

  async check(server) {
    const { items } = (await server.get(`/v1/kv?prefix=${this.#name}/`)).body;
    const found = new Map(items.map(({ key, value }) => [key, value]));
    for (const [key, possible] of this.#possible) {
      expect(possible).toContain(found.get(key));
      this.#possible.set(key, [found.get(key)]);
    }
    expect(found.get(`${this.#name}/x`)).toBe(found.get(`${this.#name}/y`));
    return Math.max(0, ...items.map(({ version }) => version));
  }
}

/** A number that several clients increment, each under the condition of the version it read. */
class Counter {
  acknowledged = 0;
  unknown = 0;

  async act(server) {
    const found = await server.get('/v1/kv/counter');
    const version = found.status === 404 ? 0 : Number(found.headers.get('etag').slice(1, -1));
    const success = [{ op: 'put', key: 'counter', value: (version && found.body) + 1 }];
    this.unknown += 1;
    const compare = [{ key: 'counter', version }];
    const { status, body } = await server.post('/v1/kv/txn', { compare, success });
    if (status !== 200) throw new Error(`answered ${status}`);
    this.unknown -= 1;
    if (body.succeeded) this.acknowledged += 1;
  }

  async check(server) {
    const { status, body } = await server.get('/v1/kv/counter');
    const value = status === 404 ? 0 : body;
    expect(value).toBeGreaterThanOrEqual(this.acknowledged);
    expect(value).toBeLessThanOrEqual(this.acknowledged + this.unknown);
    this.acknowledged = value;
    this.unknown = 0;
  }
}

const ACCOUNTS = ['a', 'b', 'c', 'd'];

/** One who moves credits about, mostly more than there are. */
class Mover {
  #name;
  #random;
  #n = 0;
  /** The transfers of this round: [body, answer]. */
  #moves = [];
  acknowledged = 0;

  constructor(name, random) {
    this.#name = name;
    this.#random = random;
  }

  async act(server) {
    const any = (list) => list[Math.floor(this.#random() * list.length)];
    const from = any(ACCOUNTS);
    const to = any(ACCOUNTS.filter((name) => name !== from));
    const amount = 1 + Math.floor(this.#random() * 400);
    this.#n += 1;
    const move = [{ from, to, amount, key: `${this.#name}-${this.#n}` }, undefined];
    this.#moves.push(move);
    const answer = await server.post('/v1/transfers', move[0]);
    if (![201, 402].includes(answer.status)) throw new Error(`answered ${answer.status}`);
    move[1] = answer;
  }

  async check(server) {
    for (const [body, answer] of this.#moves) {
      const again = await server.post('/v1/transfers', body);
      if (answer === undefined) {
        expect([200, 201, 402]).toContain(again.status);
        continue;
      }
      this.acknowledged += 1;
      expect(again.body).toEqual(answer.body);
      expect(again.status).toBe(answer.status === 201 ? 200 : 402);
    }
    this.#moves = [];
  }
}

/** A client with its own conversation, one turn after the other. */
class Talker {
  #name;
  #n = 0;
  #id;
  /** Its turns: by prompt, whether the client got the end, and the id of the job if the client got it. */
  #turns = new Map();
  jobs = new Map();

  constructor(name) {
    this.#name = name;
  }

  async act(server) {
    this.#id ??= (await server.post('/v1/conversations', {})).body.conversation_id;
    this.#n += 1;
    const prompt = `${this.#name}-${this.#n}`;
    const turn = { complete: false };
    this.#turns.set(prompt, turn);
    const body = { conversation_id: this.#id, prompt, max_tokens: 4, on_disconnect: 'continue' };
    const { status, body: job } = await server.submit(body, { 'idempotency-key': prompt });
    if (status !== 201) throw new Error(`answered ${status}`);
    const stream = openStream(server.url + job.stream_url);
    await stream.opened;
    await stream.closed;
    turn.complete = stream.events.at(-1)?.type === 'job_complete';
    this.jobs.set(job.job_id, turn.complete);
    if (!turn.complete) throw new Error('cut off');
  }

  async check(server) {
    if (this.#id === undefined) return;
    const path = `/v1/conversations/${this.#id}`;
    const body = await until(async () => {
      const answer = await server.get(path);
      expect(answer.status).toBe(200);
      return answer.body.busy_job_id === undefined && answer.body;
    }, 'the turn that was cut off to be over');
    const { messages } = body;
    expect(messages.map(({ role }) => role)).toEqual(
      messages.map((_message, i) => (i % 2 === 0 ? 'user' : 'assistant')),
    );
    const prompts = messages.filter(({ role }) => role === 'user').map(({ content }) => content);
    // In order, each at most once, and including every turn with an acknowledged end.
    const numbers = prompts.map((prompt) => Number(prompt.split('-')[1]));
    expect(numbers).toEqual([...new Set(numbers)].sort((x, y) => x - y));
    for (const [prompt, { complete }] of this.#turns) {
      if (complete) expect(prompts).toContain(prompt);
    }
    // Failed ones are absent; the present ones stay unchanged.
    for (const [prompt, turn] of this.#turns) turn.complete = prompts.includes(prompt);
  }
}

/** Follows the file's ledger: events without a hole, no key twice, each hold ended once at most. */
class Auditor {
  #last = 0;
  #keys = new Set();
  #posted = new Map();
  #holds = new Map();
  events = 0;

  #move(account, amount) {
    this.#posted.set(account, (this.#posted.get(account) ?? 0n) + BigInt(amount));
  }

  #read(data) {
    const store = new SqliteStore(data, { readOnly: true });
    try {
      for (;;) {
        const rows = store.select('events', [this.#last, 1000]);
        if (rows.length === 0) return;
        for (const row of rows) this.#take(row);
      }
    } finally {
      store.release();
    }
  }

  #take([id, type, , key, from, to, amount, target]) {
    expect(id).toBe(this.#last + 1);
    this.#last = id;
    this.events += 1;
    if (key !== '') {
      expect(this.#keys.has(key)).toBe(false);
      this.#keys.add(key);
    }
    const [DEPOSIT, WITHDRAW, TRANSFER, HOLD, SETTLE, VOID, EXPIRED] = [1, 2, 3, 4, 5, 6, 10];
    if ([DEPOSIT, WITHDRAW, TRANSFER, SETTLE].includes(type)) {
      this.#move(from, -amount);
      this.#move(to, amount);
    }
    if (type === HOLD) this.#holds.set(id, { amount, jobId: key.split(':')[1] });
    if ([SETTLE, VOID, EXPIRED].includes(type)) {
      // Each is ended once.
      expect(this.#holds.delete(target)).toBe(true);
    }
  }

  /** Checks that the server's balances equal those of the events in its file. */
  async check(server, data) {
    const names = [...ACCOUNTS, 'anonymous', '@external', '@usage'];
    // A hold may expire between one look and the other.
    await until(async () => {
      this.#read(data);
      const held = [...this.#holds.values()].reduce((sum, { amount }) => sum + amount, 0);
      const found = await Promise.all(names.map((name) => server.get(`/v1/accounts/${name}`)));
      const posted = found.map(({ body }) => BigInt(body.posted));
      expect(posted.reduce((sum, amount) => sum + amount)).toBe(0n);
      const agree = names.every((name, i) => posted[i] === (this.#posted.get(name) ?? 0n));
      if (!agree || found[names.indexOf('anonymous')].body.held !== held) return false;
      // A remaining hold is of a job that was never created, and expires.
      const jobs = [...this.#holds.values()].map(({ jobId }) => server.get(`/v1/jobs/${jobId}`));
      return (await Promise.all(jobs)).every(({ status }) => status === 404);
    }, 'balances and jobs to be those of the events');
  }
}

/** Lets each of them act, again and again, until the server is gone, and counts in `done`. */
async function load(server, actors, stopped) {
  for (const actor of actors) actor.done = 0;
  async function loop(actor) {
    while (!stopped()) {
      try {
        await actor.act(server);
        actor.done += 1;
      } catch (error) {
        if (!stopped()) throw error;
        return;
      }
    }
  }
  await Promise.all(actors.map(loop));
}

async function fund(server) {
  for (const account of ACCOUNTS) {
    const body = { to: account, amount: 1000, key: `fund-${account}` };
    expect((await server.post('/v1/transfers', body)).status).toBe(201);
  }
  const amount = 1_000_000_000;
  await server.post('/v1/transfers', { to: 'anonymous', amount, key: 'fund' });
}

test(`${rounds} crashes take back no key, no credit and no turn`, async () => {
  const random = randomFrom(seed);
  const data = dataFile();
  const prices = { '*': { prompt: 3, completion: 7 } };
  const config = await file('prices.json', JSON.stringify({ prices }));
  const options = ['--data', data, '--config', config, '--admin-open', '--token-interval-ms', '5'];
  const writers = [0, 1, 2].map((i) => new KeyWriter(`w${i}`, random));
  const counter = new Counter();
  const movers = [0, 1, 2].map((i) => new Mover(`m${i}`, random));
  const talkers = [0, 1, 2].map((i) => new Talker(`t${i}`));
  const checked = [...writers, counter, ...movers, ...talkers];
  // Several add to the one counter.
  const actors = [...checked, counter, counter];
  const auditor = new Auditor();
  await crashRounds({
    random,
    args: () => options,
    async check(server, round) {
      if (round === 0) await fund(server);
      for (const each of checked) await each.check(server);
      // New keys have a higher version than any that a client got.
      const { body } = await server.call('PUT', '/v1/kv/last', { raw: '1', headers: json });
      const highest = Math.max(...writers.map((writer) => writer.highest));
      expect(body.version).toBeGreaterThan(highest);
      for (const writer of writers) writer.highest = body.version;
      await auditor.check(server, data);
    },
    load: (server, stopped) => ({
      clients: load(server, actors, stopped),
      // In each round every client makes progress, also on a slow machine.
      enough: () => until(() => actors.every(({ done }) => done > 0), 'all to have done something'),
    }),
  });
  const sum = (list) => list.reduce((total, { acknowledged }) => total + acknowledged, 0);
  const turns = talkers.flatMap(({ jobs }) => [...jobs.values()]);
  const counts = {
    writes: sum(writers),
    increments: counter.acknowledged,
    transfers: sum(movers),
    events: auditor.events,
    turns: turns.length,
    completed: turns.filter(Boolean).length,
  };
  console.info(`seed ${seed}: ${JSON.stringify(counts)}`);
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0);
}, 3_600_000);
