#!/usr/bin/env node
/** The command line: finds the command, and turns what it throws into one line and an exit code. */
import { createRequire } from 'node:module';
import { UsageError } from './flags.js';

const kCommands = /** @type {const} */ ({
  serve: () => import('./serve.js'),
  run: () => import('./run.js'),
  crawl: () => import('./crawl.js'),
  logs: () => import('./logs.js'),
  key: () => import('./key.js'),
  export: () => import('./export.js'),
});

async function overview() {
  const lines = await Promise.all(
    Object.entries(kCommands).map(async ([name, load]) => {
      const { summary } = await load();
      return `  ${name.padEnd(8)}${summary}`;
    }),
  );
  return (
    `Usage: sluice COMMAND [options]\n\n${lines.join('\n')}\n\n` +
    'sluice COMMAND --help tells the options of one; sluice --version the version.\n'
  );
}

/**
 * @param {string[]} argv
 * @returns {Promise<number>} exit code
 */
async function main([name, ...rest]) {
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(await overview());
    return 0;
  }
  if (name === '--version') {
    const { version } = createRequire(import.meta.url)('../../package.json');
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const known = Object.keys(kCommands).join(', ');
  if (name === undefined) throw new UsageError(`a command is needed: ${known}`);
  if (!Object.hasOwn(kCommands, name)) {
    const what = name.startsWith('-') ? 'option' : 'command';
    throw new UsageError(`unknown ${what} '${name}'; the commands are ${known}`);
  }
  const command = await kCommands[/** @type {keyof typeof kCommands} */ (name)]();
  return command.run(rest);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (/** @type {any} */ error) {
  const [command] = process.argv.slice(2);
  const usage = error instanceof UsageError;
  const hint = usage ? `; see sluice ${command in kCommands ? `${command} ` : ''}--help` : '';
  const message = String(error?.message ?? error).split('\n')[0];
  process.stderr.write(`sluice: ${message}${hint}\n`);
  process.exitCode = usage ? 2 : 1;
}
