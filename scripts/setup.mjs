/**
 * Ensures that the operating system has the packages needed by a checkout. Returns at once if
 * none is missing. On Debian and derived systems, as root, it installs missing packages with apt-get;
 * otherwise it lists them in one message, with the command to type, and fails. A server
 * is only installed: it is not started, now or at the next boot.
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
 * Runs a command under Debian's switch against the start of services (policy-rc.d), which is set only for
 * this time, unless it exists already. A shell runs the command, because it removes the switch
 * even if this process is interrupted.
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

/** Message of `ensure(serverTestNeeds)` if they stay missing. */
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
 * @param {string[]} services started by their packages
 */
function aptInstall(packages, services) {
  const args = [...aptOptions, 'install', '-y', '--no-install-recommends', ...packages];
  const install = () =>
    services.length === 0
      ? quietly('apt-get', args)
      : quietly('sh', ['-c', WITHOUT_SERVICES, 'sh', 'apt-get', ...args]);
  // A first attempt with the present lists saves the update on a machine that has them. A bare
  // image has none, and old lists name files that no longer exist on the mirror.
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
 * Installs missing packages if possible; otherwise stays silent.
 * @param {import('./lib/needs.mjs').Need[]} needs optional ones
 * @param {string} [purpose] for the message
 */
export function prefer(needs, purpose = 'for faster builds') {
  const packages = needs.filter((need) => !need.found()).map((need) => need.package);
  if (packages.length === 0 || !canInstall()) return;
  console.log(`sluice: installing ${packages.join(' ')} with apt-get, ${purpose}`);
  if (!aptInstall(packages, [])) console.error('sluice: it goes on without them');
}

/**
 * Ensures all requirements, or lists the missing ones.
 * @param {import('./lib/needs.mjs').Need[]} needs
 * @param {string} [otherwise] the consequence of missing packages, for the message
 * @returns {boolean} whether all are installed now
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
