/** Changes of a release to the tree, and the workflow whose steps are scripts of this repository. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import yaml from 'js-yaml';
import {
  RELEASE_TARGETS,
  checkPrebuilds,
  checkVersion,
  prepareRelease,
  withAbsoluteLinks,
} from '../../../scripts/lib/release.mjs';

const root = new URL('../../../', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');
const url = 'https://git.example/owner/sluice';

let folder;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-release-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each([
  ['[a](docs/http.md)', `[a](${url}/blob/v1/docs/http.md)`],
  ['[a](docs/http.md#the-stream)', `[a](${url}/blob/v1/docs/http.md#the-stream)`],
  ['![a](docs/x.gif)', `![a](${url}/raw/v1/docs/x.gif)`],
  ['[a](#heading) [b](https://x.example/y)', '[a](#heading) [b](https://x.example/y)'],
])('the link of %s becomes absolute', (markdown, expected) => {
  expect(withAbsoluteLinks(markdown, url, 'v1')).toBe(expected);
});

test('a link of a page in a folder is resolved from there', () => {
  expect(withAbsoluteLinks('[a](../README.md)', url, 'v1', 'docs')).toBe(
    `[a](${url}/blob/v1/README.md)`,
  );
});

test('the tag, the version and the changelog must agree', () => {
  const changelog = '# Changelog\n\n## 1.2.3\n\n- a\n\n## 1.2.2\n';
  expect(() => checkVersion('v1.2.3', '1.2.3', changelog)).not.toThrow();
  expect(() => checkVersion('1.2.3', '1.2.3', changelog)).toThrow('the tag 1.2.3 is not v1.2.3');
  expect(() => checkVersion('v1.2.2', '1.2.2', changelog)).toThrow('is "## 1.2.3"');
});

test('each platform needs a binary', () => {
  const put = (target, content) => {
    mkdirSync(join(folder, target), { recursive: true });
    writeFileSync(join(folder, target, 'sluice.node'), content);
  };
  for (const target of RELEASE_TARGETS) put(target, 'x');
  expect(() => checkPrebuilds(folder)).not.toThrow();
  put('linux-arm64', '');
  rmSync(join(folder, 'win32-x64'), { recursive: true });
  expect(() => checkPrebuilds(folder)).toThrow('no sluice.node for linux-arm64, win32-x64');
});

test('a tree is prepared from its own files, and not changed after a failed check', () => {
  const manifest = JSON.parse(read('package.json'));
  for (const name of ['package.json', 'README.md', 'CHANGELOG.md']) {
    writeFileSync(join(folder, name), read(name));
  }
  const tag = `v${manifest.version}`;
  expect(() => prepareRelease(folder, { tag: 'v0.0.0', url })).toThrow('the tag v0.0.0');
  expect(() => prepareRelease(folder, { tag, url: 'git@git.example:a/b' })).toThrow('HOST/OWNER');
  expect(readFileSync(join(folder, 'package.json'), 'utf8')).toBe(read('package.json'));
  prepareRelease(folder, { tag, url });
  const prepared = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  expect(prepared).toEqual({
    ...manifest,
    homepage: `${url}#readme`,
    bugs: `${url}/issues`,
    repository: { type: 'git', url: `git+${url}.git` },
  });
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  expect(readme).toContain(`](${url}/blob/${tag}/docs/http.md)`);
  expect(readme).not.toMatch(/\]\((?![a-z]+:|#)/);
});

describe('the workflow', () => {
  const { jobs } = yaml.load(read('.github/workflows/release.yml'));
  const steps = Object.values(jobs).flatMap((job) => job.steps);
  const commands = steps.flatMap(({ run }) => (run === undefined ? [] : [run]));

  test('builds every target of a release, and publishes after all of them', () => {
    const { publish, ...builds } = jobs;
    const targets = Object.values(builds).flatMap(({ strategy }) =>
      (strategy?.matrix.include ?? [{ target: 'win32-x64' }]).map(({ target }) => target),
    );
    expect(targets.sort()).toEqual([...RELEASE_TARGETS].sort());
    expect(publish.needs).toEqual(Object.keys(builds));
    expect(publish.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
  });

  test('runs scripts that are there, by the names of their steps', () => {
    const scripts = commands.flatMap((command) => command.match(/scripts\/[\w/.-]+/g) ?? []);
    expect(scripts.length).toBeGreaterThan(8);
    for (const script of scripts) {
      expect([script, existsSync(new URL(script, root))]).toEqual([script, true]);
    }
    const source = read('scripts/release.mjs');
    for (const command of commands) {
      for (const [, step] of command.matchAll(/release\.mjs (\w+)/g)) {
        expect(source).toContain(`  ${step}: (`);
      }
    }
  });

  test('installs the packages of the build on Debian', async () => {
    const { buildNeeds, redisBuildNeeds } = await import('../../../scripts/lib/needs.mjs');
    const install = commands.find((command) => command.includes('apt-get install'));
    const needs = [...buildNeeds, ...redisBuildNeeds];
    const missing = needs.filter((need) => !install.split(' ').includes(need.package));
    expect(missing).toEqual([]);
  });
});
