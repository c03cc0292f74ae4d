/**
 * Changes for a release: the addresses of the repository, which are not in the tree, and the
 * consistency checks. Pure except for reading and writing files.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** The platforms with a binary in a release. */
export const RELEASE_TARGETS = Object.freeze([
  'linux-x64',
  'linux-arm64',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64',
]);

/**
 * @param {string} folder
 * @throws {Error} naming each target without a binary
 */
export function checkPrebuilds(folder) {
  const missing = RELEASE_TARGETS.filter((target) => {
    const path = join(folder, target, 'sluice.node');
    return !existsSync(path) || statSync(path).size === 0;
  });
  if (missing.length === 0) return;
  throw new Error(`${folder} has no sluice.node for ${missing.join(', ')}`);
}

/**
 * @param {string} tag for example `v1.2.3`
 * @param {string} version of package.json
 * @param {string} changelog
 * @throws {Error} naming the inconsistency
 */
export function checkVersion(tag, version, changelog) {
  if (tag !== `v${version}`) throw new Error(`the tag ${tag} is not v${version} of package.json`);
  const heading = changelog.split('\n').find((line) => line.startsWith('## '));
  if (heading?.split(' ')[1] === version) return;
  throw new Error(`the newest section of CHANGELOG.md is "${heading ?? ''}", not "## ${version}"`);
}

/**
 * @param {Record<string, unknown>} manifest package.json
 * @param {string} url of the repository, for example `https://github.com/OWNER/NAME`
 * @returns {Record<string, unknown>} with the addresses for npm's page
 */
function withAddresses(manifest, url) {
  const { name, version, description, ...rest } = manifest;
  return {
    ...{ name, version, description },
    homepage: `${url}#readme`,
    bugs: `${url}/issues`,
    repository: { type: 'git', url: `git+${url}.git` },
    ...rest,
  };
}

/**
 * Makes relative links absolute, because npm's page of a package is not in the repository.
 * @param {string} markdown
 * @param {string} url of the repository
 * @param {string} tag target of the links
 * @param {string} [folder] of the page in the repository
 */
export function withAbsoluteLinks(markdown, url, tag, folder = '') {
  return markdown.replace(/(!?)\]\(([^)\s]+)\)/g, (whole, image, target) => {
    if (/^([a-z]+:|#)/i.test(target)) return whole;
    const [path, anchor] = target.split('#');
    const kind = /\.(png|gif|svg|webp|jpe?g)$/i.test(path) ? 'raw' : 'blob';
    const to = `${url}/${kind}/${tag}/${posix.join(folder, path)}`;
    return `${image}](${to}${anchor === undefined ? '' : `#${anchor}`})`;
  });
}

/**
 * Prepares a tree for `npm publish`.
 * @param {string} folder of package.json, README.md and CHANGELOG.md; the first two are rewritten
 * @param {{tag: string, url: string}} release
 * @throws {Error} naming the inconsistency; then no file is written
 */
export function prepareRelease(folder, { tag, url }) {
  if (!/^https:\/\/[^/]+\/[^/]+\/[^/]+$/.test(url)) {
    throw new Error(`the address of a repository is https://HOST/OWNER/NAME, not ${url}`);
  }
  const read = (/** @type {string} */ name) => readFileSync(join(folder, name), 'utf8');
  const manifest = JSON.parse(read('package.json'));
  checkVersion(tag, manifest.version, read('CHANGELOG.md'));
  const readme = withAbsoluteLinks(read('README.md'), url, tag);
  const json = `${JSON.stringify(withAddresses(manifest, url), null, 2)}\n`;
  writeFileSync(join(folder, 'README.md'), readme);
  writeFileSync(join(folder, 'package.json'), json);
}
