/** The strict programs of test/support/package, and the settings of tsc that users have. */
import { execFile } from 'node:child_process';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from './run.mjs';

const execute = promisify(execFile);
const SOURCES = join(root, 'test/support/package');
const TSC = join(root, 'node_modules/typescript/bin/tsc');

const SHARED = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
  target: 'es2022',
  types: ['node'],
};
const EVERY = ['program.ts', 'no-any.ts'];

/** @type {{options: object, files: string[]}[]} */
const CONFIGS = [
  { options: { module: 'nodenext', moduleResolution: 'nodenext' }, files: EVERY },
  {
    options: { module: 'esnext', moduleResolution: 'bundler', verbatimModuleSyntax: true },
    files: EVERY,
  },
  { options: { module: 'nodenext', lib: ['es2023'] }, files: ['no-dom.ts'] },
];

/**
 * Compiles the programs against the package that is installed in a folder.
 * @param {string} app the folder, whose package.json says `"type": "module"`
 * @param {string[]} [more] files in it that are compiled, too
 * @returns {Promise<string>} what tsc found; empty: nothing
 */
export async function compilePrograms(app, more = []) {
  let found = '';
  for (const { options, files } of CONFIGS) {
    for (const file of files) cpSync(join(SOURCES, file), join(app, file));
    const compilerOptions = { ...SHARED, ...options };
    const all = files === EVERY ? [...files, ...more] : files;
    writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: all }));
    const { stdout } = await execute(process.execPath, [TSC, '-p', app], { cwd: app }).catch(
      (error) => error,
    );
    if (stdout) found += `${JSON.stringify(options)}\n${stdout}`;
  }
  rmSync(join(app, 'tsconfig.json'));
  return found;
}
