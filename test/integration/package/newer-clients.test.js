/**
 * The clients whose newest major versions need Node 22 read the streams of the faces. Over HTTP they
 * are tested in test/soak/newer-clients.test.js.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { rmSync } from 'node:fs';
import { installNewerClients, testNewerClients } from '../../support/client/newer-clients.js';
import { scratchFolder } from '../../support/package/packed.js';

/** The packages with Node's binary are for Linux, among others. */
const onLinux = process.platform === 'linux' ? test : test.skip;
const folder = scratchFolder();
let clients;

beforeAll(async () => {
  if (process.platform === 'linux') clients = await installNewerClients(folder);
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true }));

onLinux('openai 7 and ai 7 read the streams of the faces', async () => {
  const files = ['test/unit/streams/face-clients.test.js'];
  const { passed, failures } = await testNewerClients(clients, folder, files);
  expect(failures).toEqual([]);
  expect(passed).toBeGreaterThanOrEqual(10);
});
