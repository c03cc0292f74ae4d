/** Streams are shared by those who are told apart. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

test('one caller has up to half of the streams, and gets its places back', async () => {
  const { provider } = handProvider();
  const { call, stream, read } = await start({
    provider,
    maxStreams: 4,
    access: { keys: [entry('ann', 'key-of-ann'), entry('bob', 'key-of-bob')] },
  });
  const job = async (key) =>
    (await call('POST', '/v1/jobs', { body: { prompt: 'a' }, headers: bearer(key) })).body;
  const { stream_url: ofAnn } = await job('key-of-ann');
  const { stream_url: ofBob } = await job('key-of-bob');
  const opened = [await stream(ofAnn), await stream(ofAnn)];
  const turnedAway = async (url) => (await read(url)).raw === 'retry: 15000\n';
  expect(await turnedAway(ofAnn)).toBe(true);
  opened.push(await stream(ofBob), await stream(ofBob));
  expect(await turnedAway(ofBob)).toBe(true);
  opened.shift().close();
  await until(async () => {
    const open = await stream(ofAnn);
    await new Promise((resolve) => setTimeout(resolve, 50));
    // One that is turned away has ended by now.
    open.close();
    return !open.ended;
  }, 'a place');
  for (const open of opened) open.close();
});
