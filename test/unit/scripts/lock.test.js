/** The packages of package-lock.json and the versions of Node that package.json names: npm warns where they differ. */
import { readFileSync } from 'node:fs';
import semver from 'semver';

const read = (name) =>
  JSON.parse(readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8'));
const { engines } = read('package.json');
const locked = Object.entries(read('package-lock.json').packages)
  .filter(([path, each]) => path !== '' && each.engines?.node !== undefined)
  .map(([path, each]) => ({ path, dev: each.dev === true, range: each.engines.node }));

test('the packages of an installation run on every version of Node that is supported', () => {
  const installed = locked.filter(({ dev }) => !dev);
  expect(installed.length).toBeGreaterThan(10);
  expect(installed.filter(({ range }) => !semver.subset(engines.node, range))).toEqual([]);
});

test.each(['20.20.0', '22.20.0', '24.10.0'])('those of development run on Node %s', (version) => {
  expect(semver.satisfies(version, engines.node)).toBe(true);
  expect(locked.filter(({ range }) => !semver.satisfies(version, range))).toEqual([]);
});
