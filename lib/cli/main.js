#!/usr/bin/env node
/** The command line: runs a command, and turns its error into one line and an exit code. */
import { UsageError, parseFlags } from './flags.js';
import { lateModule } from '../internal/util/packages.js';
import { suggestion } from './suggestion.js';

/**
 * Loads modules of commands as `require` does, which takes two thirds of the time of `import()`.
 * @param {(require: (path: string) => any) => any} load
 */
const late = (load) => lateModule(import.meta.url, load);

const COMMANDS = {
  serve: late((require) => require('./serve.js')),
  run: late((require) => require('./run.js')),
  crawl: late((require) => require('./crawl.js')),
  logs: late((require) => require('./logs.js')),
  key: late((require) => require('./key.js')),
  conformance: late((require) => require('./conformance.js')),
  export: late((require) => require('./export.js')),
  doctor: late((require) => require('./doctor.js')),
  completion: late((require) => require('./completion.js')),
  build: late((require) => require('./build.js')),
};

/**
 * Every command with its flags, for the overview and for completion.
 * @returns {import('./completion.js').Command[]}
 */
function loadCommands() {
  return Object.entries(COMMANDS).map(([name, load]) => {
    const { summary, flags } = load();
    return { name, summary, flags };
  });
}

function overview() {
  const commands = loadCommands();
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`);
  return (
    `Usage: sluice COMMAND [options]\n\n${lines.join('\n')}\n\n` +
    'sluice COMMAND --help lists the options of a command; sluice --version prints the version.\n'
  );
}

/**
 * @param {string[]} argv
 * @returns {Promise<number>} exit code
 */
async function main([name, ...rest]) {
  const [topic] = rest;
  if (name === 'help' && topic !== undefined) return main([topic, '--help']);
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(overview());
    return 0;
  }
  if (name === '--version' || name === '-v') {
    const { version } = late((require) => require('../../package.json'))();
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const known = Object.keys(COMMANDS).join(', ');
  if (name === undefined) throw new UsageError(`a command is needed: ${known}`);
  if (!Object.hasOwn(COMMANDS, name)) {
    const kind = name.startsWith('-') ? 'option' : 'command';
    const meant = kind === 'command' ? suggestion(name, Object.keys(COMMANDS)) : undefined;
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    throw new UsageError(`unknown ${kind} '${name}'${hint || `; the commands are ${known}`}`);
  }
  const { flags, parsing, help, run } = COMMANDS[/** @type {keyof typeof COMMANDS} */ (name)]();
  const read = () => parseFlags(flags, rest, parsing);
  const parsed = read();
  if (parsed.help) {
    process.stdout.write(help);
    return 0;
  }
  return run(parsed, { read, loadCommands });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (/** @type {any} */ error) {
  const [command] = process.argv.slice(2);
  const usage = error instanceof UsageError;
  const message = String(error?.message ?? error).split('\n')[0];
  const see = message.endsWith('?') ? ' See' : '; see';
  const hint = usage ? `${see} sluice ${command in COMMANDS ? `${command} ` : ''}--help` : '';
  process.stderr.write(`sluice: ${message}${hint}\n`);
  process.exitCode = usage ? 2 : 1;
}
