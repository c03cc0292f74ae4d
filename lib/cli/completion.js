/** `sluice completion`: scripts that complete the command line in a shell, generated from the tables of flags. */
import { UsageError, describeFlags, takesOf } from './flags.js';

/** @type {import('./flags.js').Flags} */
export const flags = {};

export const summary = 'print the completion script of a shell';

const SHELLS = Object.freeze(['bash', 'zsh', 'fish']);

export const help = `Usage: sluice completion bash|zsh|fish

Prints a script that completes commands, options and their values. For this session and later ones:

  bash  sluice completion bash >> ~/.bash_completion; . ~/.bash_completion
  zsh   sluice completion zsh > "\${fpath[1]}/_sluice"; compinit
  fish  sluice completion fish > ~/.config/fish/completions/sluice.fish

${describeFlags(flags)}
`;

/**
 * @typedef {object} Command
 * @property {string} name
 * @property {string} summary
 * @property {import('./flags.js').Flags} flags
 */

/** Values of a flag: a list, names of files, any value, or none (a switch). */
const FILES = Symbol('files');

/**
 * @param {import('./flags.js').Flag} flag
 * @returns {readonly string[] | typeof FILES | 'any' | 'none'}
 */
function valuesOf(flag) {
  if (flag.type === 'boolean') return 'none';
  if (flag.choices !== undefined) return flag.choices;
  return /FILE|PATH/.test(takesOf(flag)) ? FILES : 'any';
}

/** @param {Command} command @returns {[name: string, flag: import('./flags.js').Flag][]} */
function flagsOf(command) {
  return [...Object.entries(command.flags), ['help', { type: 'boolean', help: 'this text' }]];
}

/** Arguments of a command besides flags. @type {Record<string, readonly string[]>} */
const WORDS = { completion: SHELLS };

/** @param {Command[]} commands */
function bash(commands) {
  const names = commands.map(({ name }) => name);
  /** @type {string[]} */
  const values = [];
  for (const command of commands) {
    for (const [name, flag] of flagsOf(command)) {
      const known = valuesOf(flag);
      if (known === 'none') continue;
      const reply =
        known === FILES
          ? 'compgen -f'
          : `compgen -W '${known === 'any' ? '' : /** @type {string[]} */ (known).join(' ')}'`;
      values.push(`    '${command.name} --${name}') COMPREPLY=($(${reply} -- "$cur")); return ;;`);
    }
  }
  const options = commands.map((command) => {
    const list = flagsOf(command).map(([name]) => `--${name}`);
    return `    ${command.name}) options='${list.join(' ')}' words='${(WORDS[command.name] ?? []).join(' ')}' ;;`;
  });
  return `# Completion of sluice in bash.
_sluice() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD - 1]}"
  local command="\${COMP_WORDS[1]}" options='' words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${names.join(' ')} --help --version' -- "$cur"))
    return
  fi
  case "$command $prev" in
${values.join('\n')}
  esac
  case "$command" in
${options.join('\n')}
  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$cur")) ;;
    *)
      if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$cur"))
      else COMPREPLY=($(compgen -f -- "$cur")); fi
      ;;
  esac
}
complete -F _sluice sluice
`;
}

/** @param {string} text for single quotes of a POSIX shell */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** @param {string} text within a specification of zsh's _arguments */
const zshText = (text) => text.replace(/[\\[\]:]/g, (character) => `\\${character}`);

/** @param {Command[]} commands */
function zsh(commands) {
  const names = commands.map(({ name, summary: text }) => quoted(`${name}:${zshText(text)}`));
  const cases = commands.map((command) => {
    const specs = flagsOf(command).map(([name, flag]) => {
      const known = valuesOf(flag);
      const text = `${flag.multiple ? '*' : ''}--${name}[${zshText(flag.help)}]`;
      if (known === 'none') return quoted(text);
      if (known === FILES) return quoted(`${text}:file:_files`);
      const list = known === 'any' ? ' ' : `(${/** @type {string[]} */ (known).join(' ')})`;
      return quoted(`${text}:${zshText(takesOf(flag))}:${list}`);
    });
    const words = WORDS[command.name];
    specs.push(quoted(words === undefined ? '*:file:_files' : `1:shell:(${words.join(' ')})`));
    return `    ${command.name}) _arguments ${specs.join(' \\\n      ')} ;;`;
  });
  return `#compdef sluice
# Completion of sluice in zsh.
_sluice() {
  local -a commands=(${names.join(' \\\n    ')})
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _sluice ]; then _sluice "$@"; else compdef _sluice sluice; fi
`;
}

/** @param {string} text for single quotes of fish */
const fishQuoted = (text) => `'${text.replace(/['\\]/g, (character) => `\\${character}`)}'`;

/** @param {Command[]} commands */
function fish(commands) {
  const lines = commands.flatMap((command) => {
    const seen = `-n '__fish_seen_subcommand_from ${command.name}'`;
    const own = flagsOf(command).map(([name, flag]) => {
      const known = valuesOf(flag);
      let values = '';
      if (known === FILES) values = ' -r -F';
      else if (known === 'any') values = ' -x';
      else if (known !== 'none') values = ` -x -a '${/** @type {string[]} */ (known).join(' ')}'`;
      return `complete -c sluice ${seen} -l ${name}${values} -d ${fishQuoted(flag.help)}`;
    });
    const words = WORDS[command.name];
    if (words !== undefined) own.push(`complete -c sluice ${seen} -f -a '${words.join(' ')}'`);
    const text = fishQuoted(command.summary);
    return [`complete -c sluice -n __fish_use_subcommand -f -a ${command.name} -d ${text}`, ...own];
  });
  return `# Completion of sluice in fish.\n${lines.join('\n')}\n`;
}

/** @type {Record<string, (commands: Command[]) => string>} */
const SCRIPTS = { bash, zsh, fish };

export const parsing = { positionals: true };

/**
 * @param {import('./flags.js').Parsed} parsed
 * @param {{loadCommands: () => Command[]}} context
 * @returns {Promise<number>} exit code
 */
export async function run({ positionals }, { loadCommands }) {
  const [shell] = positionals;
  if (positionals.length !== 1 || !SHELLS.includes(shell)) {
    throw new UsageError(`completion takes one of ${SHELLS.join(', ')}`);
  }
  process.stdout.write(SCRIPTS[shell](loadCommands()));
  return 0;
}
