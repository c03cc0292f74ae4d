/**
 * Sees to it that the operating system has what a checkout needs. Does nothing, at once, when
 * nothing is missing. On Debian (and its kin) as root it installs what is missing with apt-get;
 * anywhere else it names everything in one message, with the command to type, and fails.
 *
 * Usage: node scripts/setup.mjs [build|test]...   (default: build)
 */
import { spawnSync } from 'node:child_process';
import { browserTestNeeds, buildNeeds, nativeTestNeeds } from './lib/needs.mjs';
import { isMain, which } from './lib/run.mjs';

const aptEnv = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };

/** @param {string[]} args */
function aptGet(...args) {
  return spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], {
    env: aptEnv,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
}

/** @param {string[]} packages */
function aptInstall(packages) {
  const install = () => aptGet('install', '-y', '--no-install-recommends', ...packages);
  // A first try with the lists as they are saves the update on a machine that has them. A bare
  // image has none, and old lists name files that the mirror no longer keeps.
  let result = install();
  if (result.status !== 0) {
    aptGet('update');
    result = install();
  }
  if (result.status !== 0) console.error(`${result.stdout}${result.stderr}`.trim());
  return result.status === 0;
}

/**
 * Makes sure of every need, or says what is missing.
 * @param {import('./lib/needs.mjs').Need[]} needs
 * @returns {boolean} whether all of them are there now
 */
export function ensure(needs) {
  const missing = needs.filter((need) => !need.found());
  if (missing.length === 0) return true;
  const packages = [...new Set(missing.map((need) => need.package))];
  const apt = which('apt-get') !== undefined;
  if (apt && process.getuid?.() === 0) {
    console.log(`sluice: installing ${packages.join(' ')} with apt-get`);
    if (aptInstall(packages)) return true;
  }
  const whats = [...new Set(missing.map((need) => need.what))].join(', ');
  const fix = apt
    ? `Install it with:\n\n    sudo apt-get install -y --no-install-recommends ${packages.join(' ')}\n`
    : `Install it with your system's package manager (Debian calls it ${packages.join(', ')}).`;
  console.error(`sluice: this machine lacks ${whats}. ${fix}`);
  return false;
}

if (isMain(import.meta.url)) {
  const groups = process.argv.slice(2);
  const needs = [...buildNeeds];
  if (groups.includes('test')) needs.push(...nativeTestNeeds, ...browserTestNeeds);
  process.exitCode = ensure(needs) ? 0 : 1;
}
