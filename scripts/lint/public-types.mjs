/**
 * Compiles the strict programs of test/support/package against the declarations of this tree: like the packaging
 * test for the installed tarball, without packing. A syntax error in a printed type, and an `any` in a
 * public signature, are found here.
 *
 * Usage: node scripts/lint/public-types.mjs   Exit status 1 on a problem.
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { compilePrograms } from '../lib/strict-programs.mjs';
import { root, run } from '../lib/run.mjs';

const tsc = join(root, 'node_modules/typescript/bin/tsc');
const app = mkdtempSync(join(tmpdir(), 'sluice-types-'));
try {
  const installed = join(app, 'node_modules/sluice');
  mkdirSync(installed, { recursive: true });
  cpSync(join(root, 'package.json'), join(installed, 'package.json'));
  const types = join(installed, 'types');
  // `npm run types` has checked the sources.
  const emit = ['-p', join(root, 'tsconfig.types.json'), '--noCheck', '--outDir', types];
  const { status } = await run(process.execPath, [tsc, ...emit]);
  if (status !== 0) process.exitCode = status;
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const name of ['@types', ...Object.keys(dependencies)]) {
    const link = join(app, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link);
  }
  writeFileSync(join(app, 'package.json'), '{"private": true, "type": "module"}\n');
  const found = await compilePrograms(app);
  process.stdout.write(found);
  if (found !== '') process.exitCode = 1;
} finally {
  rmSync(app, { recursive: true });
}
