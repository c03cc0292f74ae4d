/**
 * Flags of the commands: one table gives the parser, the help text, the checks, and the members that
 * the file of `--config` may have. A mistake is a `UsageError`: one line, exit code 2.
 */
import { parseArgs } from 'node:util';
import { readFileSync } from 'node:fs';
import { SPAN_MS_MAX } from '../internal/util/option-table.js';
import { suggestion } from './suggestion.js';

/** A mistake in the command's arguments. */
export class UsageError extends Error {}

/**
 * @typedef {object} Flag
 * @property {'integer' | 'number' | 'string' | 'choice' | 'url' | 'boolean'} type a boolean flag
 *   has no value
 * @property {string} help
 * @property {string} [value] placeholder of its value in the help
 * @property {number | string | boolean} [default] value if the flag is not given
 * @property {string} [defaultText] the default in words, if other code sets it
 * @property {string} [env] environment variable with the value if neither the flag nor the file sets it
 * @property {number} [min] of an integer or number; default 0
 * @property {number} [max] of an integer or number
 * @property {readonly string[]} [choices]
 * @property {boolean} [multiple] may be given several times; its value is an array of each
 * @property {string} [alias] a second name
 * @property {string} [formerly] a deprecated name; its use prints a warning on stderr
 */

/** @typedef {Record<string, Flag>} Flags */

/** @type {Flags} */
export const configFlag = {
  config: {
    type: 'string',
    value: 'FILE',
    help: 'JSON file with these options; flags take precedence',
  },
};

/** @type {Flags} */
export const outputFlag = {
  output: {
    type: 'string',
    value: 'FILE',
    alias: 'out',
    defaultText: 'standard output',
    help: 'file for the results',
  },
};

const INTEGER_MAX = SPAN_MS_MAX;

/** @param {string} value */
const isHttpUrl = (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);

/**
 * @param {string} at name of the option as given
 * @param {Flag} flag
 * @param {unknown} value
 * @returns {string | number | boolean}
 */
function check(at, flag, value) {
  const { type, min = 0, max = INTEGER_MAX, choices = [] } = flag;
  const shown = JSON.stringify(value);
  if (type === 'boolean') {
    if (typeof value === 'boolean') return value;
    throw new UsageError(`${at} takes true or false, not ${shown}`);
  }
  if (type === 'integer') {
    const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) {
      return number;
    }
    throw new UsageError(`${at} takes an integer from ${min} to ${max}, not ${shown}`);
  }
  if (type === 'number') {
    const number =
      typeof value === 'string' && /^\d{1,9}(\.\d{1,9})?$/.test(value) ? +value : value;
    if (typeof number === 'number' && number >= min && number <= max) return number;
    throw new UsageError(`${at} takes a number from ${min} to ${max}, not ${shown}`);
  }
  if (typeof value !== 'string' || value === '') {
    throw new UsageError(`${at} takes a non-empty string, not ${shown}`);
  }
  if (type === 'choice' && !choices.includes(value)) {
    throw new UsageError(`${at} takes ${choices.join(', ')}, not ${shown}`);
  }
  if (type === 'url' && !isHttpUrl(value)) {
    const meant = `http://${value}`;
    const hint = !value.includes('://') && isHttpUrl(meant) ? `; did you mean ${meant}?` : '';
    throw new UsageError(`${at} takes an http or https URL, not ${shown}${hint}`);
  }
  return value;
}

/**
 * @param {string} at
 * @param {Flag} flag
 * @param {unknown} value an array for a flag that may be given several times
 */
function checkEach(at, flag, value) {
  if (flag.multiple !== true) return check(at, flag, value);
  if (typeof value === 'string') return [check(at, flag, value)];
  if (!Array.isArray(value)) throw new UsageError(`${at} takes an array of strings`);
  return value.map((one) => check(at, flag, one));
}

/** @param {string} name `max-batch-size` as `maxBatchSize` */
export function camelCase(name) {
  return name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
}

/** @param {string} name `maxBatchSize` as `max-batch-size` */
function kebabCase(name) {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** @param {string} markdown */
function plain(markdown) {
  return markdown.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '');
}

/**
 * The flags of a table of options.
 * @param {readonly import('../internal/util/option-table.js').OptionRow[]} rows
 * @param {{fillIn?: boolean}} [options] `fillIn`: missing flags get their defaults;
 *   otherwise their value is undefined, and the consumer of the options sets the default
 * @returns {Flags}
 */
export function flagsFrom(rows, { fillIn = false } = {}) {
  /** @type {Flags} */
  const flags = {};
  for (const row of rows) {
    if (row.flag === undefined) continue;
    const { type, min = type === 'integer' ? 1 : 0, max, choices, flagValue: value } = row;
    const text = row.default === undefined ? undefined : String(row.default);
    const defaultText = row.defaultText === undefined ? text : plain(row.defaultText);
    flags[row.flag] = {
      type: type === 'milliseconds' ? 'integer' : FLAG_TYPES[type],
      help: plain(row.help),
      ...(value !== undefined && { value }),
      ...(row.env !== undefined && { env: row.env }),
      ...(type === 'integer' || type === 'milliseconds'
        ? { min, max: Math.min(max ?? INTEGER_MAX, INTEGER_MAX) }
        : {}),
      ...(choices !== undefined && { choices }),
      ...(type === 'strings' && { multiple: true }),
      ...(fillIn ? { default: row.default } : type !== 'boolean' && { defaultText }),
      ...(row.formerly !== undefined && { formerly: kebabCase(row.formerly) }),
    };
  }
  return flags;
}

/** @type {Record<string, Flag['type']>} */
const FLAG_TYPES = {
  integer: 'integer',
  choice: 'choice',
  boolean: 'boolean',
  string: 'string',
  strings: 'string',
  other: 'url',
};

/**
 * The inverse: options from the values of a table's flags.
 * @param {readonly import('../internal/util/option-table.js').OptionRow[]} rows
 * @param {Record<string, any>} values
 * @returns {Record<string, any>} nested like the paths of the table
 */
export function optionsFrom(rows, values) {
  /** @type {Record<string, any>} */
  const options = {};
  for (const { path, flag } of rows) {
    const value = flag === undefined ? undefined : values[camelCase(flag)];
    if (value === undefined) continue;
    const [group, name] = path.split('.');
    if (name === undefined) options[group] = value;
    else options[group] = { ...options[group], [name]: value };
  }
  return options;
}

/**
 * Members of a configuration file other than flags.
 * @typedef {object} Members
 * @property {readonly string[]} names
 * @property {(members: Record<string, unknown>) => string | undefined} findProblem the first mistake,
 *   after the name of the file
 */

/** Deprecated names for which this process has printed a warning. */
const warned = new Set();

/**
 * The checked value of a flag, given under any of its names.
 * @param {Map<string, unknown>} given values by the names as written
 * @param {string} name
 * @param {Flag} flag
 * @param {(name: string) => string} show a name as the caller wrote it
 * @returns {string | number | boolean | (string | number | boolean)[] | undefined} undefined: not given
 */
function take(given, name, flag, show) {
  const { alias, formerly } = flag;
  const names = [name, camelCase(name), alias, formerly, formerly && camelCase(formerly)];
  const used = [...new Set(names)].filter((one) => one !== undefined && given.has(one));
  if (used.length > 1) {
    const [first, second] = used.map((one) => show(String(one)));
    throw new UsageError(`${first} and ${second} are the same option; give one of them`);
  }
  const [one] = used;
  if (one === undefined) return undefined;
  const at = show(one);
  const value = checkEach(at, flag, given.get(one));
  if (formerly !== undefined && (one === formerly || one === camelCase(formerly))) {
    const now = show(one === formerly ? name : camelCase(name));
    if (!warned.has(at)) {
      process.stderr.write(`sluice: ${at} is now ${now}; the next version drops the old name\n`);
    }
    warned.add(at);
  }
  return value;
}

/** @param {string} path */
function readObject(path) {
  let config;
  try {
    config = JSON.parse(readFileSync(path, 'utf8'));
  } catch (/** @type {any} */ error) {
    const problem = error instanceof SyntaxError ? 'is not JSON' : `cannot be read (${error.code})`;
    throw new UsageError(`${path} ${problem}`);
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new UsageError(`${path} must hold a JSON object`);
  }
  return config;
}

/**
 * @param {string} path
 * @param {Flags} flags
 * @param {Members} extra
 * @returns {{values: Record<string, string | number | boolean | unknown[]>, members: Record<string, unknown>}}
 */
function readConfig(path, flags, extra) {
  const config = readObject(path);
  const { config: _, ...own } = flags;
  const names = Object.entries(own).flatMap(([name, { alias, formerly }]) =>
    [name, alias, formerly].flatMap((one) => (one === undefined ? [] : [one, camelCase(one)])),
  );
  /** @type {Map<string, unknown>} */
  const given = new Map();
  /** @type {Record<string, unknown>} */
  const members = {};
  for (const [key, value] of Object.entries(config)) {
    if (extra.names.includes(key)) members[key] = value;
    else if (names.includes(key)) given.set(key, value);
    else {
      const meant = suggestion(key, [...Object.keys(own).map(camelCase), ...extra.names]);
      const hint = meant === undefined ? '' : `; did you mean /${meant}?`;
      throw new UsageError(`${path}: /${key} is not an option${hint}`);
    }
  }
  /** @type {Record<string, string | number | boolean | unknown[]>} */
  const values = {};
  for (const [name, flag] of Object.entries(own)) {
    const value = take(given, name, flag, (one) => `${path}: /${one}`);
    if (value !== undefined) values[camelCase(name)] = value;
  }
  const problem = extra.findProblem(members);
  if (problem !== undefined) throw new UsageError(`${path}: ${problem}`);
  return { values, members };
}

/** @type {Members} */
const NO_MEMBERS = { names: [], findProblem: () => undefined };

/**
 * @param {Flags} flags
 * @param {string[]} argv
 * @param {boolean} allowPositionals
 */
function parse(flags, argv, allowPositionals) {
  /** @type {Record<string, {type: 'string' | 'boolean', short?: string, multiple?: boolean}>} */
  const known = { help: { type: 'boolean', short: 'h' } };
  for (const [name, { type, multiple = false, alias, formerly }] of Object.entries(flags)) {
    for (const one of [name, alias, formerly]) {
      if (one === undefined) continue;
      known[one] = { type: type === 'boolean' ? 'boolean' : 'string', multiple };
    }
  }
  try {
    return parseArgs({ args: argv, options: known, allowPositionals, strict: true });
  } catch (/** @type {any} */ error) {
    const [, unknown] = /^Unknown option '(-[^']*)'/.exec(error.message) ?? [];
    if (unknown === undefined) {
      // Node's own messages are clear, but some contain several sentences of advice.
      throw new UsageError(error.message.split(/[.\n]( |$)/)[0]);
    }
    const meant = suggestion(unknown.replace(/^-+/, ''), [...Object.keys(flags), 'help']);
    const hint = meant === undefined ? '' : `; did you mean --${meant}?`;
    throw new UsageError(`unknown option '${unknown}'${hint}`);
  }
}

/** @param {Flag} flag */
function defaultOf(flag) {
  const { env, default: fallback } = flag;
  const value = env === undefined ? undefined : process.env[env];
  return env === undefined || !value ? fallback : check(env, flag, value);
}

/**
 * The command line of a command. `values` by camelCase name, defaults filled in; `members` the members of the
 * configuration file other than flags.
 * @typedef {{help: boolean, positionals: string[], values: Record<string, any>,
 *   members: Record<string, unknown>}} Parsed
 */

/**
 * @param {Flags} flags
 * @param {string[]} argv
 * @param {{positionals?: boolean, members?: Members}} [options]
 * @returns {Parsed}
 */
export function parseFlags(flags, argv, options = {}) {
  const { positionals: allowPositionals = false, members: extra = NO_MEMBERS } = options;
  const { values: parsed, positionals } = parse(flags, argv, allowPositionals);
  /** @type {Record<string, any>} */
  const values = {};
  for (const [name, flag] of Object.entries(flags)) values[camelCase(name)] = defaultOf(flag);
  let members = {};
  if (typeof parsed.config === 'string') {
    const config = readConfig(parsed.config, flags, extra);
    Object.assign(values, config.values);
    ({ members } = config);
  }
  const given = new Map(Object.entries(parsed));
  for (const [name, flag] of Object.entries(flags)) {
    const value = take(given, name, flag, (one) => `--${one}`);
    if (value !== undefined) values[camelCase(name)] = value;
  }
  return { help: parsed.help === true, positionals, values, members };
}

/**
 * @param {Flag} flag
 * @returns {string} placeholder of its value
 */
export function takesOf({ type, value, choices }) {
  return value ?? choices?.join('|') ?? (/^(integer|number)$/.test(type) ? 'N' : 'VALUE');
}

/**
 * @param {Flags} flags
 * @returns {string} a line per flag
 */
export function describeFlags(flags) {
  const rows = Object.entries(flags).map(([name, flag]) => {
    if (flag.type === 'boolean') return [`  --${name}`, flag.help];
    const text = flag.defaultText ?? flag.default;
    const suffix = text === undefined ? '' : ` (default ${text})`;
    return [`  --${name} ${takesOf(flag)}`, flag.help + suffix];
  });
  rows.push(['  --help', 'this text']);
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => left.padEnd(width) + right).join('\n');
}
