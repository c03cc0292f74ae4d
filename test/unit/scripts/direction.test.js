/** The checks of direction find each kind of forbidden edge, and nothing in an orderly tree. */
import { cruise } from 'dependency-cruiser';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import rules from '../../../.dependency-cruiser.js';
import { includeProblems } from '../../../scripts/lint/includes.mjs';
import { root } from '../../../scripts/lib/run.mjs';
import { typeImportProblems } from '../../../scripts/lint/type-imports.mjs';

let folder;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-direction-'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let trees = 0;
/** A tree of these files, by path. */
function tree(files) {
  const base = join(folder, `tree-${(trees += 1)}`);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(base, path)), { recursive: true });
    writeFileSync(join(base, path), text);
  }
  return base;
}

describe('imports of values', () => {
  /** The names of the rules that the files break. */
  async function broken(files) {
    const baseDir = tree({ 'package.json': '{"type":"module"}', ...files });
    const { output } = await cruise(['lib', 'web'], {
      ...rules.options,
      baseDir,
      validate: true,
      ruleSet: { forbidden: rules.forbidden },
    });
    return [...new Set(output.summary.violations.map(({ rule }) => rule.name))];
  }
  const web = { 'web/client.js': 'export {};' };

  test.each([
    ['nothing', { 'lib/jobs/a.js': "import '../internal/b.js';", 'lib/internal/b.js': '' }, []],
    [
      'a lower layer imports a higher one',
      { 'lib/internal/a.js': "import '../jobs/b.js';", 'lib/jobs/b.js': '' },
      ['direction-of-internal'],
    ],
    [
      'a sibling',
      { 'lib/streams/a.js': "import '../providers/b.js';", 'lib/providers/b.js': '' },
      ['direction-of-streams'],
    ],
    [
      'a cycle within a folder',
      { 'lib/jobs/a.js': "import './b.js';", 'lib/jobs/b.js': "import './a.js';" },
      ['no-cycle'],
    ],
    ['the page', { 'lib/http/a.js': "import '../../web/client.js';" }, ['lib-apart-from-web']],
    ['a missing file', { 'lib/http/a.js': "import './missing.js';" }, ['resolvable']],
  ])('%s', async (_name, files, expected) => {
    expect(await broken({ ...web, ...files })).toEqual(expected);
  });

  test('the page imports lib', async () => {
    const files = { 'web/a.js': "import '../lib/jobs/b.js';", 'lib/jobs/b.js': '' };
    expect(await broken(files)).toEqual(['web-apart-from-lib']);
  });
});

describe('imports of types', () => {
  const problems = (files) => typeImportProblems(tree(files));

  test.each([
    ['import() in a type', "/** @type {import('../jobs/b.js').B} */ export let a;"],
    ['@import', "/** @import { B } from '../jobs/b.js' */\nexport {};"],
  ])('%s upwards', (_name, text) => {
    expect(problems({ 'internal/a.js': text, 'jobs/b.js': '' })).toEqual([
      'internal/a.js: import of jobs/b.js: internal must not depend on jobs',
    ]);
  });

  test('a cycle of types and values', () => {
    const files = {
      'jobs/a.js': "import './b.js';",
      'jobs/b.js': "/** @type {import('./c.js').C} */ export let b;",
      'jobs/c.js': "/** @type {import('./a.js').A} */ export let c;",
    };
    expect(problems(files)).toEqual(['cycle of imports: jobs/a.js, jobs/b.js, jobs/c.js']);
  });

  test('a folder that has no layer', () => {
    const files = { 'unknown/a.js': "import '../internal/b.js';", 'internal/b.js': '' };
    expect(problems(files)).toHaveLength(1);
  });

  test('downwards is allowed', () => {
    const text = "/** @type {import('../internal/b.js').B} */ export let a;";
    expect(problems({ 'jobs/a.js': text, 'internal/b.js': '' })).toEqual([]);
  });
});

describe('includes', () => {
  const problems = (files) => includeProblems(tree(files));

  test.each([
    ['core/base/a.h', 'core/streams/b.h'],
    ['core/kv/a.cc', 'core/ledger/b.h'],
    ['core/streams/a.cc', 'core/upstream/b.h'],
    ['core/upstream/openai/a.cc', 'core/upstream/b.h'],
    ['core/logs/a.cc', 'runtime/loop/b.h'],
    ['core/logs/line/a.h', 'core/logs/b.h'],
    ['core/logs/input/a.h', 'core/logs/line/b.h'],
    ['runtime/loop/a.h', 'runtime/net/b.h'],
    ['runtime/storage/a.cc', 'addon/napi/b.h'],
    ['addon/napi/a.h', 'addon/bindings/kv/b.h'],
    ['addon/bindings/storage/a.cc', 'addon/bindings/streams/b.h'],
    ['addon/bindings/kv/a.cc', 'addon/bindings/ledger/b.h'],
  ])('%s must not include %s', (from, to) => {
    expect(problems({ [from]: `#include "${to}"\n`, [to]: '' })).toHaveLength(1);
  });

  test('from the left is allowed', () => {
    const files = { 'addon/bindings/kv/a.cc': '#include "core/base/b.h"\n', 'core/base/b.h': '' };
    expect(problems(files)).toEqual([]);
  });
});
