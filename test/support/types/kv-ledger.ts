import { KvStore, Ledger, openRedis } from '../../../lib/index.js';
interface User { name: string; age?: number }
const users = new KvStore<User>({ maxKeys: 10 });
users.set('a', { name: 'Ann' }, { ttlMs: 5 });
const found = users.get('a');
const name: string | undefined = found?.value.name;
// @ts-expect-error a number is no User
users.set('b', 5);
// @ts-expect-error an unknown option
users.set('b', { name: 'x' }, { ttl: 5 });
const store = new KvStore();
store.set('n', 1); store.set('b', new Uint8Array()); store.set('o', { a: [1, null, { b: 'x' }] });
// @ts-expect-error a function is no value
store.set('f', () => 1);
const value = store.get('n')?.value;
// @ts-expect-error not known to be a number
const wrong: number = value;
const one: User | undefined = store.get<User>('n')?.value;
for (const { key, value: user } of users.scan().items) { const k: string = key; const u: User = user; }
async function main() {
  for await (const change of users.watch({ prefix: 'u' })) {
    if (change.type === 'set') { const n: string = change.value.name; }
    // @ts-expect-error only a set has a value
    if (change.type === 'delete') change.value;
  }
  const r: number = await users.transaction((tx) => { tx.set('x', { name: 'n' }); return tx.get('x')?.version ?? 0; });
  const s = users.snapshot(); const v: User | undefined = s.get('a')?.value; s.release();
}
const ledger = new Ledger();
const { events } = ledger.linked({ key: 'k', transfers: [{ from: 'a', to: 'b', amount: 1n, metadata: { a: 1 } }] });
const amount: bigint | undefined = events[0].amount;
async function shared() {
  const redis = await openRedis({ url: 'redis://h' });
  const balance: bigint = (await redis.ledger().balance('a')).available;
  const { hold } = await redis.ledger().hold({ key: 'k', account: 'a', amount: 1n });
  // @ts-expect-error an unknown option
  await redis.ledger().settle({ key: 's', hold, sum: 1n });
}
