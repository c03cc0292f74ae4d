/** A platform without a binary in the package: `npx sluice build` makes it from the sources there. */
import { execFile } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { demoText, install, pack, scratchFolder, smoke } from '../support/package/packed.js';

const execute = promisify(execFile);
const folder = scratchFolder();
let app;

beforeAll(async () => {
  app = await install(folder, [await pack(folder), 'cmake-js', 'node-addon-api']);
  rmSync(join(app, 'node_modules/sluice/prebuilds'), { recursive: true });
}, 900_000);

afterAll(() => rmSync(folder, { recursive: true }));

test('the addon is built from the sources in the package, and runs a job', async () => {
  await expect(smoke(app, process.execPath)).rejects.toThrow('npx sluice build');
  const sluice = join(app, 'node_modules/.bin/sluice');
  const { stdout } = await execute(process.execPath, [sluice, 'build'], { cwd: app, maxBuffer: 1e8 });
  const build = join(app, 'node_modules/sluice/build');
  expect(stdout).toContain(`built ${join(build, 'Release/sluice.node')}\n`);
  expect(readdirSync(build)).toEqual(['Release']);
  expect(await smoke(app, process.execPath)).toMatchObject({ last: 'job_complete', text: demoText });
});
