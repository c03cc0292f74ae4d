/** `sluice completion`: the scripts, run by their shells where these are installed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { which } from '../../../scripts/lib/run.mjs';
import { sluice } from '../../support/crash/cli.js';

let folder;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-completion-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** @returns {Promise<string>} path of the script */
async function script(shell) {
  const { code, stdout, stderr } = await sluice('completion', shell).exited;
  expect([code, stderr]).toEqual([0, '']);
  const path = join(folder, `sluice.${shell}`);
  writeFileSync(path, stdout);
  return path;
}

const withShell = (name) => (which(name) ? test : test.skip);
const run = (...args) => execFileSync(...args, { encoding: 'utf8', cwd: folder });

const cases = [
  ['a command', ['se'], ['serve']],
  ['a flag', ['serve', '--max-body'], ['--max-body-bytes']],
  ['a value', ['serve', '--egress', ''], ['auto', 'shared', 'node']],
  ['the shell', ['completion', 'z'], ['zsh']],
  ['a file', ['serve', '--config', 'sluice.b'], ['sluice.bash']],
];

describe.each(cases)('%s', (_name, words, expected) => {
  withShell('bash')('is completed in bash', async () => {
    const path = await script('bash');
    const line = ['sluice', ...words].map((word) => `'${word}'`).join(' ');
    const code = `. ${path}; COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`;
    expect(run('bash', ['-c', code]).split('\n').filter(Boolean)).toEqual(expected);
  });

  withShell('fish')('is completed in fish', async () => {
    const path = await script('fish');
    await script('bash');
    const code = `source ${path}; complete -C 'sluice ${words.join(' ')}'`;
    const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder };
    const found = execFileSync('fish', ['--no-config', '-c', code], {
      encoding: 'utf8',
      cwd: folder,
      env,
    });
    const values = found
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('\t')[0]);
    expect(values.sort()).toEqual([...expected].sort());
  });
});

withShell('zsh')('the script for zsh is valid, and knows every command', async () => {
  const path = await script('zsh');
  run('zsh', ['-n', path]);
  const code = `autoload -U compinit; compinit -u -D; . ${path}; print -r -- $_comps[sluice]`;
  expect(run('zsh', ['-f', '-c', code])).toBe('_sluice\n');
});

test('another shell is refused', async () => {
  for (const args of [[], ['ksh'], ['bash', 'zsh']]) {
    const { code, stderr } = await sluice('completion', ...args).exited;
    expect(code).toBe(2);
    expect(stderr).toContain('completion takes one of bash, zsh, fish');
  }
});
