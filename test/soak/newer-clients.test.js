/** The tests that read the faces with clients, over HTTP, with the major versions that need Node 22. */
import { rmSync } from 'node:fs';
import { installNewerClients, testNewerClients } from '../support/client/newer-clients.js';
import { scratchFolder } from '../support/package/packed.js';

const folder = scratchFolder();
let clients;

beforeAll(async () => {
  clients = await installNewerClients(folder);
}, 900_000);

afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  'test/unit/streams/face-clients.test.js',
  'test/integration/http/faces/ai-sdk.test.js',
  'test/integration/http/faces/chat.test.js',
  'test/integration/http/faces/embeddings.test.js',
  'test/integration/http/faces/responses-state.test.js',
  'test/integration/http/faces/responses.test.js',
])('%s', async (file) => {
  const { passed, failures } = await testNewerClients(clients, folder, [file]);
  expect(failures).toEqual([]);
  expect(passed).toBeGreaterThan(0);
});
