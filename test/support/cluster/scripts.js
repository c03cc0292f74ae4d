/** Scripts of lib/cluster run by hand on a real Redis, with the documented rights of a user. */
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { RedisClient } from '../../../lib/cluster/client/redis-client.js';
import { parseRedisUrl } from '../../../lib/cluster/connection/address.js';
import { startRedis } from './redis.js';

const PREFIX = '{t}:';
/** The rights listed in docs/scaling.md. */
const RIGHTS =
  '~{t}:* &{t}:* +@read +@write +@pubsub +@scripting +@connection +@transaction +time +wait -@dangerous +info';

/** Fields of a job, as name and value in turn. */
export const JOB = ['model', 'm', 'request', '{"prompt":"p"}', 'max_wall_ms', '1000'];

/**
 * The scripts of a test file, on a Redis that is empty before each test.
 * @param {string[]} members names of processes that join before each test
 */
export function useScripts(...members) {
  const t = /** @type {Awaited<ReturnType<typeof openScripts>>} */ ({});
  beforeAll(async () => {
    Object.assign(t, await openScripts());
  });
  afterAll(() => t.close());
  beforeEach(async () => {
    await t.admin.flushall();
    for (const name of members) await t.join(name);
  });
  return t;
}

/** A server, a client of a user with limited rights, and calls of the scripts with their usual arguments. */
export async function openScripts() {
  const server = await startRedis();
  const admin = new Redis(server.port, '127.0.0.1');
  await admin.call('ACL', 'SETUSER', 'gw', 'on', '>secret', ...RIGHTS.split(' '));
  const client = new RedisClient({
    address: parseRedisUrl('url', `redis://gw:secret@127.0.0.1:${server.port}`),
    prefix: PREFIX,
    commandTimeoutMs: 1000,
  });
  await once(client, 'ready');
  const run = (name, keys, args = []) => client.run(name, keys, args);
  return {
    ...{ server, admin, client, run },
    /** The whole database, without times to live. */
    async dump() {
      const all = {};
      for (const key of (await admin.keys('*')).sort()) all[key] = await read(admin, key);
      return all;
    },
    async close() {
      client.close();
      admin.disconnect();
      await server.stop();
    },
    join: (name, { was = '', clock = '1000', lease = '10000', schema = '1' } = {}) =>
      run(
        'join',
        ['procs', 'meta'],
        [...[clock, name, was, schema, 'epoch1', 'secret1', lease], ...['host', 'h', 'pid', '1']],
      ),
    /** Admits a job; `key` is the name of its idempotency key, `parts` its reservations, `fields` its fields. */
    admit: (
      owner,
      id,
      {
        clock = '5000',
        deadline = '',
        choices = 1,
        key,
        print = 'f',
        parts,
        fields = JOB,
        ...rest
      } = {},
    ) =>
      run(
        'admit',
        [`job:${id}`, ...(key === undefined ? [] : [`idem:${key}`])],
        [
          ...[clock, deadline, owner, id, rest.principal ?? 'me', '60000', choices, print, '90000'],
          ...[parts === undefined ? '' : JSON.stringify(parts), ...fields],
        ],
      ),
    take: (heir, id, from, { reason = 'lost', onLost = 'fail', room = '1', deadline = '' } = {}) =>
      run('take', [`job:${id}`], ['5000', deadline, heir, id, from, reason, onLost, room, '2']),
    bury: (observer, name, beat, { clock = '5000', deadline = '' } = {}) =>
      run('bury', ['procs'], [clock, deadline, observer, name, beat]),
    finish: (
      owner,
      id,
      lastId,
      { status = 'completed', ending, x = '{"type":"e"}', role = 'job', log = id, ...rest } = {},
    ) =>
      run(
        'finish',
        [`job:${id}`, `log:${log}`],
        [
          ...[owner, lastId.split('-')[0], lastId, ending ?? nextId(lastId), x, '{"f":1}'],
          ...[status, '7000', '30000', role, rest.settlement ?? '', rest.clock ?? ''],
        ],
      ),
    token: (id, entryId, text = 'hi') => admin.xadd(`${PREFIX}log:${id}`, entryId, 't', text),
    log: async (id) =>
      (await admin.xrange(`${PREFIX}log:${id}`, '-', '+')).map(([entry, fields]) =>
        [entry, ...fields].join(' '),
      ),
    field: (id, name) => admin.hget(`${PREFIX}job:${id}`, name),
    members: (key) => admin.smembers(PREFIX + key).then((all) => all.sort()),
    ttl: (key) => admin.pttl(PREFIX + key),
  };
}

/** @param {string} id */
function nextId(id) {
  const [attempt, seq] = id.split('-');
  return `${attempt}-${Number(seq) + 1}`;
}

async function read(admin, key) {
  switch (await admin.type(key)) {
    case 'hash':
      return admin.hgetall(key);
    case 'set':
      return (await admin.smembers(key)).sort();
    case 'zset':
      return admin.zrange(key, 0, -1, 'WITHSCORES');
    case 'list':
      return admin.lrange(key, 0, -1);
    case 'stream':
      return admin.xrange(key, '-', '+');
    default:
      return admin.get(key);
  }
}
