/** Limits in Redis, script by script: reservations, settlements, returns, and the leases of dead processes. */
import { useScripts } from '../../../support/cluster/scripts.js';

const t = useScripts('a', 'b');

const MINUTE_US = '60000000';
const bucket = (cost, limit = 60, more = {}) => [
  ...[`q:principal/${more.name ?? 'ann'}/${more.of ?? 'tokens'}`, String(cost), String(limit)],
  ...[more.window ?? MINUTE_US, more.since ?? ''],
];
const place = (limit = 2, name = 'ann', cost = 1) => [
  ...[`c:principal/${name}`, String(cost), String(limit)],
];
const second = (count) => String(count * 1e6);

/** Reserves under a lease of `a`; the outcome, and its decisions. */
async function lease(id, asks, { clock = second(1), process = 'a' } = {}) {
  const args = [clock, '', process, `lease_${id}`, '60000', JSON.stringify(asks)];
  const [answer, json] = await t.run('quota/lease', [`lease:lease_${id}`], args);
  return [answer, ...(json ? JSON.parse(json) : [])];
}
const end = (id, used, clock = second(1)) =>
  t.run(
    'quota/end_lease',
    [`lease:lease_${id}`],
    [clock, `lease_${id}`, used === undefined ? '' : JSON.stringify(used)],
  );
/** The remainder of a bucket, and the wait until it is full. */
async function left(limit = 60, clock = second(1), more) {
  const asks = [bucket(0, limit, more)];
  const options = { clock, process: 'b' };
  const [, [, remaining, , reset]] = await lease(`look${Math.random()}`, asks, options);
  return [remaining, reset];
}
const keys = async (pattern) => (await t.admin.keys(pattern)).sort();

test('a peek reserves and writes nothing', async () => {
  const look = async (asks, clock = second(1)) => {
    const args = [clock, '', JSON.stringify(asks)];
    const [answer, json] = await t.run('quota/peek', ['procs'], args);
    return [answer, ...JSON.parse(json)];
  };
  const empty = await t.dump();
  expect(await look([bucket(60), place()])).toEqual([
    ...['OK', ['1', '60', '0', '0'], ['1', '2', '0', '0']],
  ]);
  expect(await t.dump()).toEqual(empty);
  await lease('1', [bucket(50), place()]);
  const before = await t.dump();
  expect(await look([bucket(60), place()])).toEqual([
    ...['OK', ['1', '10', '0', second(50)], ['1', '1', '0', '0']],
  ]);
  expect(await t.dump()).toEqual(before);
  expect(await look([bucket(0)], second(11))).toEqual(['OK', ['1', '20', '0', second(40)]]);
});

describe('a bucket', () => {
  test('grants its limit, returns the wait of a refusal, and refills exactly', async () => {
    expect(await lease('1', [bucket(60)])).toEqual(['OK', ['1', '0', '0', second(60)]]);
    expect(await lease('2', [bucket(1)])).toEqual(['REFUSED', ['0', '0', second(1), second(60)]]);
    // A microsecond before a whole one is there; and then.
    expect((await lease('3', [bucket(1)], { clock: '1999999' }))[0]).toBe('REFUSED');
    expect((await lease('4', [bucket(1)], { clock: '2000000' }))[0]).toBe('OK');
    expect(await lease('5', [bucket(61)])).toEqual([
      'REFUSED',
      ['0', '0', '-1', expect.anything()],
    ]);
  });

  // [limit, window, cost, wait in microseconds until one is there again]: ceil(window / limit)
  test.each([
    [7, '60000000', 7, '8571429'],
    [3, '1000000', 3, '333334'],
    [999983, '60000000', 999983, '61'],
    [2147483647, '60000000', 2147483647, '1'],
    [1, '31536000000000', 1, '31536000000000'],
    [9007199254740991, '31536000000000', 9007199254740991, '1'],
  ])('of %i in %s us is exact', async (limit, window, cost, wait) => {
    const ask = (much) => bucket(much, limit, { window });
    expect((await lease('1', [ask(cost)]))[0]).toBe('OK');
    const [answer, [, , retry, reset]] = await lease('2', [ask(1)]);
    expect([answer, retry, reset]).toEqual(['REFUSED', wait, window]);
    const at = String(1e6 + Number(wait));
    expect((await lease('3', [ask(1)], { clock: String(Number(at) - 1) }))[0]).toBe('REFUSED');
    expect((await lease('4', [ask(1)], { clock: at }))[0]).toBe('OK');
  });

  test('loses nothing over many small steps', async () => {
    const limit = 7;
    await lease('all', [bucket(limit, limit)]);
    let taken = 0;
    const steps = { count: 180, us: 3_333_333 };
    for (let step = 1; step <= steps.count; step += 1) {
      const clock = String(1e6 + step * steps.us);
      if ((await lease(`s${step}`, [bucket(1, limit)], { clock }))[0] === 'OK') taken += 1;
    }
    // 599.99994 s at 7 a minute.
    expect(taken).toBe(69);
  });

  test('is charged the usage, also as a debt, and the rest is returned', async () => {
    await lease('1', [bucket(40)]);
    expect(await end('1', ['10'])).toBe('OK');
    expect(await left()).toEqual(['50', second(10)]);
    expect(await end('1', ['60'])).toBe('GONE');
    await lease('2', [bucket(10)]);
    expect(await end('2', ['100'])).toBe('OK');
    // 50 - 100: a debt of 50, paid off in 50 s.
    expect(await left()).toEqual(['0', second(110)]);
    expect(await left(60, second(51))).toEqual(['0', second(60)]);
    expect(await left(60, second(52))).toEqual(['1', second(59)]);
    await lease('3', [bucket(1)], { clock: second(52) });
    expect(await end('3', undefined, second(52))).toBe('OK');
    expect(await left(60, second(52))).toEqual(['1', second(59)]);
  });

  test('goes when it is full, and is never fuller than that', async () => {
    await lease('1', [bucket(5)]);
    expect(await keys('{t}:q:*')).toEqual(['{t}:q:principal/ann/tokens']);
    await end('1', undefined, second(3));
    expect(await keys('{t}:q:*')).toEqual([]);
    // With the server's own clock Redis removes it.
    await lease('2', [bucket(1)], { clock: '' });
    const ttl = await t.ttl('q:principal/ann/tokens');
    expect(ttl).toBeGreaterThan(900);
    expect(ttl).toBeLessThanOrEqual(1001);
  });

  test('keeps its usage when its limit changes', async () => {
    await lease('1', [bucket(50)]);
    // A larger one lacks the same 50; a smaller one is empty rather than in debt.
    expect(await left(100)).toEqual(['50', second(30)]);
    expect(await left(40)).toEqual(['0', second(60)]);
    // Ten seconds under 60 a minute, then ten under 120: 50 - 10 - 20 are missing.
    expect(await left(120, second(21), { since: second(11) })).toEqual(['100', second(10)]);
  });

  test('settles under the current limit, not that of the reservation', async () => {
    await lease('1', [bucket(10)]);
    await lease('2', [bucket(10, 100)]);
    await end('1', ['10']);
    expect(await t.admin.hget('{t}:q:principal/ann/tokens', 'limit')).toBe('100');
  });
});

describe('places', () => {
  test('are as many as the limit, for all holders together', async () => {
    expect(await lease('1', [place()])).toEqual(['OK', ['1', '1', '0', '0']]);
    expect(await lease('2', [place()], { process: 'b' })).toEqual(['OK', ['1', '0', '0', '0']]);
    expect(await lease('3', [place()])).toEqual(['REFUSED', ['0', '0', '0', '0']]);
    expect(await end('1', [''])).toBe('OK');
    expect((await lease('3', [place()]))[0]).toBe('OK');
    expect((await lease('4', [place(0, 'bob')]))[1][2]).toBe('-1');
  });

  test('are all taken or none', async () => {
    await lease('1', [place(1, 'full')]);
    const before = await t.dump();
    const asks = [bucket(1), place(5), place(1, 'full')];
    expect((await lease('2', asks)).map((each) => each[0])).toEqual(['R', '1', '1', '0']);
    expect(await t.dump()).toEqual(before);
  });

  test('of a dead process are freed, and its reservations charged', async () => {
    await lease('1', [place(1), bucket(60)]);
    await lease('2', [place(1, 'bob')], { process: 'b' });
    expect(await t.bury('b', 'a', '1')).toBe('OK');
    expect(await t.run('estate', ['dead'], ['a', '16'])).toEqual([]);
    expect((await lease('3', [place(1)], { process: 'b' }))[0]).toBe('OK');
    expect((await left())[0]).toBe('0');
    expect((await lease('4', [place(1, 'bob')], { process: 'b' }))[0]).toBe('REFUSED');
    expect(await keys('*:a')).toEqual([]);
  });

  test('of a live process counted as dead are ended by it at their usage, once', async () => {
    await lease('1', [place(1), bucket(40)]);
    await lease('2', [bucket(20)]);
    await t.bury('b', 'a', '1');
    await t.run('estate', ['dead'], ['a', '16']);
    expect((await lease('3', [place(1)], { process: 'b' }))[0]).toBe('OK');
    await t.join('a2', { was: 'a' });
    expect(await end('1', ['', '10'])).toBe('OK');
    expect(await left()).toEqual(['30', second(30)]);
    expect(await end('2')).toBe('OK');
    expect(await left()).toEqual(['50', second(10)]);
    expect([await end('1', ['', '10']), await end('2')]).toEqual(['GONE', 'GONE']);
    expect(await left()).toEqual(['50', second(10)]);
    // The place of another one stays.
    expect(await t.members('c:principal/ann')).toEqual(['lease_3']);
    expect(await keys('{t}:lost:*')).toEqual([]);
  });

  test('move along when a process changes its name', async () => {
    await lease('1', [place(1)]);
    await t.bury('b', 'a', '1');
    await t.join('a2', { was: 'a' });
    expect((await lease('2', [place(1)], { process: 'b' }))[0]).toBe('REFUSED');
    expect(await t.members('leases:a2')).toEqual(['lease_1']);
    expect(await end('1', [''])).toBe('OK');
    expect((await lease('2', [place(1)], { process: 'b' }))[0]).toBe('OK');
  });

  test('of an expired holder are freed at the next refusal', async () => {
    await t.admit('a', 'j', { parts: { quota: [place(1)] } });
    await t.admin.del('{t}:job:j');
    expect((await lease('1', [place(1)]))[0]).toBe('OK');
    expect(await t.members('c:principal/ann')).toEqual(['lease_1']);
  });
});

describe('a job', () => {
  const quota = [bucket(20), place(1)];
  const admit = (id, options) =>
    t.admit('a', id, { clock: second(1), parts: { quota }, ...options });

  test('is admitted with its parts, or refused without a trace', async () => {
    const [answer, , results] = await admit('j');
    expect([answer, JSON.parse(results)]).toEqual([
      'OK',
      {
        quota: [
          ['1', '40', '0', second(20)],
          ['1', '0', '0', '0'],
        ],
      },
    ]);
    expect(JSON.parse(await t.field('j', 'held'))).toEqual({
      quota: [bucket(20).slice(0, 4), place(1)],
    });
    expect(await t.members('c:principal/ann')).toEqual(['j']);
    const before = await t.dump();
    const [refused, part, json] = await admit('k', { key: 'key' });
    expect([refused, part]).toEqual(['REFUSED', 'quota']);
    expect(JSON.parse(json).map(([allowed]) => allowed)).toEqual(['1', '0']);
    expect(await t.dump()).toEqual(before);
    // The same call again reserves nothing.
    expect((await admit('j'))[0]).toBe('OK');
    expect(await t.dump()).toEqual(before);
  });

  test('settles in the script that ends it, once', async () => {
    await admit('j');
    const finish = () =>
      t.finish('a', 'j', '1-0', {
        ...{ settlement: JSON.stringify({ quota: ['5', ''] }), clock: second(1) },
      });
    expect(await finish()).toBe('OK');
    expect(await left()).toEqual(['55', second(5)]);
    expect(await keys('{t}:c:*')).toEqual([]);
    expect(await t.field('j', 'held')).toBeNull();
    const before = await t.dump();
    expect(await finish()).toBe('DONE');
    expect(await t.dump()).toEqual(before);
  });

  test('without a settlement is charged its reservation, and frees its place', async () => {
    await admit('j');
    expect(await t.finish('a', 'j', '1-0', { clock: second(1) })).toBe('OK');
    expect(await left()).toEqual(['40', second(20)]);
    expect(await keys('{t}:c:*')).toEqual([]);
  });

  test('of another owner is not settled', async () => {
    await admit('j');
    const before = await t.dump();
    const settlement = JSON.stringify({ quota: ['0', ''] });
    expect(await t.finish('b', 'j', '1-0', { settlement })).toBe('FENCED');
    expect(await t.dump()).toEqual(before);
  });

  test('of a choice settles nothing', async () => {
    await admit('j', { choices: 2 });
    const options = { role: 'choice', log: 'j.1', settlement: '' };
    expect(await t.finish('a', 'j', '1-0', options)).toBe('OK');
    expect(await t.members('c:principal/ann')).toEqual(['j']);
  });

  test('ends all the same where a part cannot be settled', async () => {
    await admit('j');
    await t.admin.del('{t}:q:principal/ann/tokens');
    await t.admin.set('{t}:q:principal/ann/tokens', 'no hash');
    const settlement = JSON.stringify({ quota: ['5', ''] });
    expect(await t.finish('a', 'j', '1-0', { settlement })).toBe('OK');
    expect(await t.field('j', 'status')).toBe('completed');
    expect(await t.field('j', 'unsettled')).toMatch(/^quota: .*WRONGTYPE/);
  });

  test('returns everything when it is retracted', async () => {
    const before = await t.dump();
    await admit('j');
    expect(await t.run('retract', ['job:j'], ['a', 'j', second(1)])).toBe('OK');
    expect(await t.dump()).toEqual(before);
  });

  test('transfers its leases to its new owner, which reserves nothing again', async () => {
    await admit('j');
    await t.bury('b', 'a', '1');
    const [outcome, ...flat] = await t.take('b', 'j', 'a');
    expect(outcome).toBe('RUN');
    const held = flat[flat.indexOf('held') + 1];
    expect(JSON.parse(held).quota[1]).toEqual(place(1));
    expect(await t.run('estate', ['dead'], ['a', '16'])).toEqual([]);
    expect(await t.members('c:principal/ann')).toEqual(['j']);
    expect((await left())[0]).toBe('40');
  });

  test('reserves again after Redis has lost its data', async () => {
    const fixed = ['a', 'j', 'me', '60000', '5000', JSON.stringify({ quota }), '0', '', '', ''];
    const rewrite = () => t.run('rewrite', ['job:j'], [...fixed, 'status', 'running']);
    expect(await rewrite()).toBe('OK');
    expect(await rewrite()).toBe('THERE');
    expect(await t.members('c:principal/ann')).toEqual(['j']);
    expect(await t.admin.hget('{t}:q:principal/ann/tokens', 'tokens')).toBe('40');
  });
});

test('a charge counts once for its id', async () => {
  await lease('1', [bucket(20)]);
  const charge = (id, amount) =>
    t.run(
      'quota/charge',
      [`charged:${id}`],
      [second(1), '60000', JSON.stringify([[bucket(20).slice(0, 4), amount]])],
    );
  expect(await charge('j', '-5')).toBe('OK');
  expect(await charge('j', '-5')).toBe('DONE');
  expect((await left())[0]).toBe('45');
  expect(await charge('k', '50')).toBe('OK');
  expect(await left()).toEqual(['0', second(65)]);
});
