/**
 * Child processes for the scripts: run one, wait for it, leave nothing of it behind.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Whether this module is the script that node was started with, and not imported by another.
 * @param {string} url the module's import.meta.url
 */
export function isMain(url) {
  // Node resolves links in a module's address, but leaves the argument as it was typed.
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url);
}

/**
 * Runs a command to its end, its output passed through as it comes. Each child leads a process
 * group of its own, which is killed when the child has gone or this process is told to stop, so
 * that a test that forgot a server cannot leave it behind.
 * @param {string} command
 * @param {string[]} args
 * @param {{env?: NodeJS.ProcessEnv, cwd?: string, capture?: boolean, quiet?: boolean}} [options]
 *   `capture` also returns what the child wrote to its standard output, `quiet` then prints none of it
 * @returns {Promise<{status: number, stdout: string}>} status is 128 + n after signal n
 */
export function run(
  command,
  args,
  { env = process.env, cwd = root, capture = false, quiet = false } = {},
) {
  const child = spawn(command, args, {
    cwd,
    env,
    detached: process.platform !== 'win32',
    stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'],
  });
  let stdout = '';
  child.stdout?.setEncoding('utf8');
  child.stdout?.on('data', (text) => {
    stdout += text;
    if (!quiet) process.stdout.write(text);
  });
  const stopGroup = () => {
    try {
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group has already gone, which is what was wanted.
    }
  };
  const onSignal = () => {
    stopGroup();
    process.exit(130);
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  return new Promise((resolve) => {
    const finish = (/** @type {number} */ status) => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
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
 * As run(), but a failure ends this process with the child's status.
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
 * What a short command prints, trimmed; the empty string when it fails.
 * @param {string} command
 * @param {string[]} args
 */
export function output(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : '';
}

/** Where Debian keeps servers, which an ordinary user's PATH leaves out. */
const kServerFolders = ['/usr/local/sbin', '/usr/sbin'];

/**
 * The first of these commands that is on the PATH, or where servers are.
 * @param {string[]} names
 * @returns {string | undefined} its full path
 */
export function which(...names) {
  for (const name of names) {
    for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...kServerFolders]) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined;
}
