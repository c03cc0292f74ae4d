/**
 * Child processes for the scripts: runs one, waits for it, and leaves no process behind.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Whether this module is the main script of the process, not an import.
 * @param {string} url the module's import.meta.url
 */
export function isMain(url) {
  // Node resolves links in a module's address, but not in the argument.
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url);
}

/**
 * @typedef {object} RunOptions
 * @property {NodeJS.ProcessEnv} [env] default: this process's
 * @property {string} [cwd] default: the repository's root
 * @property {boolean} [capture] also returns the child's standard output
 * @property {boolean} [quiet] does not print its standard output
 * @property {(text: string) => void} [print] receives both outputs instead of this
 *   process's outputs
 * @property {number} [timeoutMs] time after which the child is killed; default: never
 */

/** The process groups of running children. @type {Set<() => void>} */
const running = new Set();

/** Ends all running children, then this process. */
function onSignal() {
  for (const stopGroup of running) stopGroup();
  process.exit(130);
}

/**
 * Runs a command to its end, and passes its output through. Each child leads a process
 * group of its own, which is killed when the child has ended or this process gets a signal, so
 * that no server of a test stays behind.
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<{status: number, stdout: string}>} status is 128 + n after signal n
 */
export function run(command, args, options = {}) {
  const { env = process.env, cwd = root, capture, quiet, print, timeoutMs } = options;
  const piped = print !== undefined;
  const child = spawn(command, args, {
    cwd,
    env,
    detached: process.platform !== 'win32',
    stdio: ['ignore', capture || quiet || piped ? 'pipe' : 'inherit', piped ? 'pipe' : 'inherit'],
  });
  let stdout = '';
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    if (capture) stdout += text;
    if (piped) print(text);
    else if (!quiet) process.stdout.write(text);
  });
  child.stderr?.setEncoding('utf8').on('data', (text) => print?.(text));
  const stopGroup = () => {
    try {
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group has already ended, as intended.
    }
  };
  if (running.size === 0) process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  running.add(stopGroup);
  const timer = timeoutMs === undefined ? undefined : setTimeout(stopGroup, timeoutMs);
  return new Promise((resolve) => {
    const finish = (/** @type {number} */ status) => {
      running.delete(stopGroup);
      clearTimeout(timer);
      if (running.size === 0) process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
      resolve({ status, stdout });
    };
    child.once('error', (error) => {
      console.error(`${command}: ${error.message}`);
      finish(127);
    });
    // After the exit, stray members of the group may still hold the pipe: end them before waiting
    // for it to close.
    child.once('exit', stopGroup);
    child.once('close', (code, signal) => finish(code ?? (signal ? 128 : 1)));
  });
}

/**
 * Like run(), but a failure ends this process with the child's status.
 * @param {string} command
 * @param {string[]} args
 * @param {Parameters<typeof run>[2]} [options]
 */
export async function mustRun(command, args, options) {
  const result = await run(command, args, options);
  if (result.status !== 0) process.exit(result.status);
  return result;
}

/**
 * The trimmed output of a short command; empty if it fails.
 * @param {string} command
 * @param {string[]} args
 */
export function output(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : '';
}

/** Debian's folders for servers, which are not in an ordinary user's PATH. */
const SERVER_FOLDERS = ['/usr/local/sbin', '/usr/sbin'];

/**
 * The first of these commands on the PATH or in the folders for servers.
 * @param {string[]} names
 * @returns {string | undefined} its full path
 */
export function which(...names) {
  for (const name of names) {
    for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...SERVER_FOLDERS]) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // The command is not in this folder.
      }
    }
  }
  return undefined;
}
