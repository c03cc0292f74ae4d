/**
 * The versions of Node that `engines` in package.json names: the tarball loads and runs a job on
 * the first and the newest of each line, and the releases before them cannot require() it.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  demoText,
  install,
  installNodes,
  pack,
  scratchFolder,
  smoke,
} from '../support/package/packed.js';

const supported = ['20.19.0', '20', '22.12.0', '22', '24'];
const tooOld = ['20.18.3', '22.11.0'];
const folder = scratchFolder();
let app;
let nodes;

beforeAll(async () => {
  app = await install(folder, [await pack(folder)]);
  mkdirSync(join(folder, 'nodes'));
  nodes = await installNodes(join(folder, 'nodes'), [...supported, ...tooOld]);
}, 900_000);

afterAll(() => rmSync(folder, { recursive: true }));

test.each(supported)('Node %s loads the package and runs a job', async (version) => {
  expect(await smoke(app, nodes.get(version))).toEqual({
    version: expect.stringMatching(new RegExp(`^${version.replaceAll('.', '\\.')}(\\.|$)`)),
    last: 'job_complete',
    text: demoText,
  });
});

test.each(tooOld)('Node %s cannot require() it', async (version) => {
  await expect(smoke(app, nodes.get(version))).rejects.toThrow('ERR_REQUIRE_ESM');
});
