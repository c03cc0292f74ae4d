/**
 * A reader that connects to another process after each cut, with the id of its last event, like a browser
 * behind a load balancer without sticky sessions.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openStream } from '../sse/sse-client.js';

const PAUSE_MS = 20;
const TERMINAL = /^(job|workflow|crawl)_(complete|error|failed|cancelled)$/;

/**
 * @param {() => string[]} urls of the processes that may be asked; called before each attempt
 * @param {string} path of the stream
 * @param {object} [options]
 * @param {number} [options.eventsPerConnection] events after which it disconnects; default: never
 * @param {number} [options.first] index of the first process
 * @param {Record<string, string>} [options.headers]
 */
export function readAcross(
  urls,
  path,
  { eventsPerConnection = Infinity, first = 0, headers } = {},
) {
  const reader = {
    /** @type {import('../sse/sse-client.js').StreamEvent[]} */ events: [],
    /** Statuses of the connections, in their order; 0: refused. @type {number[]} */
    statuses: [],
    connections: 0,
    left: false,
    get text() {
      let text = '';
      for (const { type, data } of this.events) {
        if (type === 'token') text += data.token;
        // After either event the text starts again from the beginning.
        else if (type === 'job_retry' || type === 'gap') text = '';
      }
      return text;
    },
    get ids() {
      return this.events.filter(({ id }) => id !== undefined).map(({ id }) => id);
    },
    get over() {
      return TERMINAL.test(this.events.at(-1)?.type);
    },
    leave() {
      reader.left = true;
      current?.close();
    },
  };
  let current;
  async function connect(turn) {
    const all = urls();
    if (all.length === 0) return;
    const last = reader.ids.at(-1);
    current = openStream(all[turn % all.length] + path, {
      headers: { ...headers, ...(last !== undefined && { 'last-event-id': last }) },
    });
    reader.connections += 1;
    const before = reader.events.length;
    const { events } = current;
    let taken = 0;
    const take = () => {
      while (taken < events.length && reader.events.length - before < eventsPerConnection) {
        reader.events.push(events[taken]);
        taken += 1;
      }
    };
    try {
      const { response } = await current.opened;
      reader.statuses.push(response.statusCode);
      response.on('data', () => {
        take();
        if (taken >= eventsPerConnection) current.close();
      });
      await current.closed;
      take();
    } catch {
      reader.statuses.push(0);
    }
  }
  reader.done = (async () => {
    for (let turn = first; !reader.over && !reader.left; turn += 1) {
      await connect(turn);
      if (!reader.over) await sleep(PAUSE_MS);
    }
    return reader;
  })();
  return reader;
}

/** Fails if ids of a reader repeat, decrease, or skip one within an attempt. */
export function expectDense(ids) {
  let [attempt, seq] = [0, 0];
  for (const id of ids) {
    const [a, s] = id.split('-').map(Number);
    if (a === attempt) expect(s).toBe(seq + 1);
    else expect(a).toBeGreaterThan(attempt);
    [attempt, seq] = [a, s];
  }
}
