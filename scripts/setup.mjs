/**
 * Sees to it that the operating system has what a checkout needs. Does nothing, at once, when
 * nothing is missing. On Debian (and its kin) as root it installs what is missing with apt-get;
 * anywhere else it names everything in one message, with the command to type, and fails. A server
 * is installed as a program alone: it is neither started nor left to be started at the next boot.
 *
 * Usage: node scripts/setup.mjs [build|test]...   (default: build)
 */
import { spawnSync } from 'node:child_process';
import {
  browserTestNeeds,
  buildNeeds,
  describeMissing,
  fasterBuildNeeds,
  nativeTestNeeds,
  redisBuildNeeds,
  serverTestNeeds,
} from './lib/needs.mjs';
import { isMain, which } from './lib/run.mjs';

const aptEnv = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
const aptOptions = ['-qq', '-o', 'Dpkg::Use-Pty=0'];

/**
 * Runs a command under Debian's switch against the start of services (policy-rc.d), which is set for
 * so long, unless whoever runs this machine has set it already. A shell, because it takes the switch
 * away even when this process is interrupted.
 */
const WITHOUT_SERVICES = `
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\\nexit 101\\n' >"$policy"
    chmod 755 "$policy"
  fi
  "$@"
`;

/** What `ensure(serverTestNeeds)` says when they stay missing. */
export const SERVER_TESTS_SKIPPED = ', and the tests that run such servers are skipped';

/** The purpose of `redisBuildNeeds`, for `prefer`. */
export const FOR_REDIS = 'for the link to Redis';

/** @param {string} command @param {string[]} args */
function quietly(command, args) {
  return spawnSync(command, args, { env: aptEnv, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
}

/** @param {string[]} args */
function aptGet(...args) {
  return quietly('apt-get', [...aptOptions, ...args]);
}

/**
 * @param {string[]} packages
 * @param {string[]} services that come with them
 */
function aptInstall(packages, services) {
  const args = [...aptOptions, 'install', '-y', '--no-install-recommends', ...packages];
  const install = () =>
    services.length === 0
      ? quietly('apt-get', args)
      : quietly('sh', ['-c', WITHOUT_SERVICES, 'sh', 'apt-get', ...args]);
  // A first try with the lists as they are saves the update on a machine that has them. A bare
  // image has none, and old lists name files that the mirror no longer keeps.
  let result = install();
  if (result.status !== 0) {
    aptGet('update');
    result = install();
  }
  if (result.status !== 0) console.error(`${result.stdout}${result.stderr}`.trim());
  for (const service of services) quietly('update-rc.d', [service, 'disable']);
  return result.status === 0;
}

/** Whether this process can install packages with apt-get. */
const canInstall = () => which('apt-get') !== undefined && process.getuid?.() === 0;

/**
 * Installs what is missing where that can be done, and says nothing where it cannot.
 * @param {import('./lib/needs.mjs').Need[]} needs that nothing fails without
 * @param {string} [purpose] for the message
 */
export function prefer(needs, purpose = 'for faster builds') {
  const packages = needs.filter((need) => !need.found()).map((need) => need.package);
  if (packages.length === 0 || !canInstall()) return;
  console.log(`sluice: installing ${packages.join(' ')} with apt-get, ${purpose}`);
  if (!aptInstall(packages, [])) console.error('sluice: it goes on without them');
}

/**
 * Makes sure of every need, or says what is missing.
 * @param {import('./lib/needs.mjs').Need[]} needs
 * @param {string} [otherwise] what becomes of it when something stays missing, for the message
 * @returns {boolean} whether all of them are there now
 */
export function ensure(needs, otherwise = '') {
  const missing = needs.filter((need) => !need.found());
  if (missing.length === 0) return true;
  if (canInstall()) {
    const packages = [...new Set(missing.map((need) => need.package))];
    console.log(`sluice: installing ${packages.join(' ')} with apt-get`);
    const services = missing.flatMap(({ service }) => service ?? []);
    if (aptInstall(packages, services)) return true;
  }
  console.error(`sluice: ${describeMissing(missing, { otherwise })}`);
  return false;
}

if (isMain(import.meta.url)) {
  const groups = process.argv.slice(2);
  const needs = [...buildNeeds];
  if (groups.includes('test')) needs.push(...nativeTestNeeds, ...browserTestNeeds);
  process.exitCode = ensure(needs) ? 0 : 1;
  prefer(redisBuildNeeds, FOR_REDIS);
  prefer(fasterBuildNeeds);
  if (groups.includes('test')) ensure(serverTestNeeds, SERVER_TESTS_SKIPPED);
}
