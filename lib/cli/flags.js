/**
 * Flags of the commands: one table gives the parser, the help text, the checks, and what
 * `--config` may say. A mistake is a `UsageError`: one line, exit code 2.
 */
import { parseArgs } from 'node:util';
import { readFileSync } from 'node:fs';
import { pointerTo } from '../internal/util/schema-problem.js';

/** A mistake in how the command was called. */
export class UsageError extends Error {}

/**
 * @typedef {object} Flag
 * @property {'integer' | 'number' | 'string' | 'choice' | 'url' | 'boolean'} type a boolean one
 *   takes no value
 * @property {string} help
 * @property {string} [value] how the help calls its value
 * @property {number | string | boolean} [fallback]
 * @property {number} [min] of an integer or number; default 0
 * @property {number} [max] of an integer or number
 * @property {string[]} [choices]
 * @property {boolean} [multiple] may be given several times; its value is an array of each
 */

/** @typedef {Record<string, Flag>} Flags */

/** @type {Flags} */
export const providerFlags = {
  provider: {
    type: 'choice',
    choices: ['demo', 'openai', 'llama'],
    fallback: 'demo',
    help: 'what makes the text: a canned one, an OpenAI-compatible server, or a GGUF file',
  },
  upstream: { type: 'url', value: 'URL', help: 'openai: base URL of the server, up to /v1' },
  'upstream-idle-ms': {
    type: 'integer',
    min: 1,
    fallback: 60_000,
    help: 'openai: silence after which a response counts as stalled',
  },
  'upstream-client': {
    type: 'choice',
    choices: ['auto', 'native', 'undici'],
    fallback: 'auto',
    help: 'openai: what makes the calls; auto is libcurl where there is one, else undici',
  },
  mode: {
    type: 'choice',
    choices: ['chat', 'completions'],
    fallback: 'chat',
    help: 'openai: one call per prompt, or one per batch with an array of prompts',
  },
  model: {
    type: 'string',
    value: 'NAME|PATH',
    help: 'openai: model name; llama: path of the GGUF',
  },
  'token-interval-ms': {
    type: 'integer',
    fallback: 200,
    help: 'demo: time between two words',
  },
  'max-in-flight-batches': {
    type: 'integer',
    min: 1,
    max: 1_000_000,
    fallback: 5,
    help: 'calls in the provider at once',
  },
  'max-batch-size': {
    type: 'integer',
    min: 1,
    max: 10_000,
    fallback: 8,
    help: 'prompts in one call, for a provider that takes several',
  },
  'idle-flush-ms': {
    type: 'integer',
    fallback: 100,
    help: 'quiet time after which a batch goes out although it is not full',
  },
  reactors: {
    type: 'integer',
    min: 1,
    max: 64,
    fallback: 1,
    help: 'threads that jobs are spread over',
  },
  'incoming-capacity': {
    type: 'integer',
    min: 1,
    max: 1_000_000,
    fallback: 100,
    help: 'prompts that may wait for a batch',
  },
};

/** @type {Flags} */
export const configFlag = {
  config: { type: 'string', value: 'FILE', help: 'JSON with these options; flags win over it' },
};

const kIntegerMax = 2 ** 31 - 1;

/**
 * @param {string} at how the option is called where it was given
 * @param {Flag} flag
 * @param {unknown} value
 * @returns {string | number | boolean}
 */
function check(at, flag, value) {
  const { type, min = 0, max = kIntegerMax, choices = [] } = flag;
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
  if (type === 'url' && !/^https?:$/.test(URL.canParse(value) ? new URL(value).protocol : '')) {
    throw new UsageError(`${at} takes an http or https URL, not ${shown}`);
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
  if (!Array.isArray(value)) throw new UsageError(`${at} takes an array of strings`);
  return value.map((one) => check(at, flag, one));
}

/** @param {string} name `max-batch-size` as `maxBatchSize` */
function camelCase(name) {
  return name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
}

/**
 * Members of a configuration file that are no flags.
 * @typedef {object} Members
 * @property {readonly string[]} names
 * @property {(members: Record<string, unknown>) => {path: string[], says: string} | undefined
 *   } findProblem
 */

/**
 * @param {string} path
 * @param {Flags} flags
 * @param {Members} extra
 * @returns {{values: Record<string, string | number | boolean | unknown[]>, members: Record<string, unknown>}}
 */
function readConfig(path, flags, extra) {
  let config;
  try {
    config = JSON.parse(readFileSync(path, 'utf8'));
  } catch (/** @type {any} */ error) {
    const why = error instanceof SyntaxError ? 'is not JSON' : `cannot be read (${error.code})`;
    throw new UsageError(`${path} ${why}`);
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new UsageError(`${path} must hold a JSON object`);
  }
  const names = new Map(
    Object.keys(flags)
      .filter((name) => name !== 'config')
      .flatMap((name) => [
        [name, name],
        [camelCase(name), name],
      ]),
  );
  /** @type {Record<string, string | number | boolean | unknown[]>} */
  const values = {};
  /** @type {Record<string, unknown>} */
  const members = {};
  for (const [key, value] of Object.entries(config)) {
    if (extra.names.includes(key)) {
      members[key] = value;
      continue;
    }
    const name = names.get(key);
    if (name === undefined) throw new UsageError(`${path}: /${key} is not an option`);
    values[camelCase(name)] = checkEach(`${path}: /${key}`, flags[name], value);
  }
  const problem = extra.findProblem(members);
  if (problem !== undefined) {
    throw new UsageError(`${path}: ${pointerTo(problem.path)} ${problem.says}`);
  }
  return { values, members };
}

/** @type {Members} */
const noMembers = { names: [], findProblem: () => undefined };

/**
 * @param {Flags} flags
 * @param {string[]} argv
 * @param {{positionals?: boolean, members?: Members}} [options]
 * @returns {{help: boolean, positionals: string[], values: Record<string, any>,
 *   members: Record<string, unknown>}} `values` by camelCase name, defaults filled in; `members`
 *   those of the configuration file that are no flags
 */
export function parseFlags(flags, argv, options = {}) {
  const { positionals: allowPositionals = false, members: extra = noMembers } = options;
  /** @type {Record<string, {type: 'string' | 'boolean', short?: string, multiple?: boolean}>} */
  const known = { help: { type: 'boolean', short: 'h' } };
  for (const [name, { type, multiple = false }] of Object.entries(flags)) {
    known[name] = { type: type === 'boolean' ? 'boolean' : 'string', multiple };
  }
  let parsed;
  try {
    parsed = parseArgs({ args: argv, options: known, allowPositionals, strict: true });
  } catch (/** @type {any} */ error) {
    // Node's own messages are clear, but some run over several sentences of advice.
    throw new UsageError(error.message.split(/[.\n]( |$)/)[0]);
  }
  const given = parsed.values;
  /** @type {Record<string, any>} */
  const values = {};
  for (const [name, { fallback }] of Object.entries(flags)) values[camelCase(name)] = fallback;
  let members = {};
  if (typeof given.config === 'string') {
    const config = readConfig(given.config, flags, extra);
    Object.assign(values, config.values);
    ({ members } = config);
  }
  for (const [name, flag] of Object.entries(flags)) {
    if (given[name] !== undefined) {
      values[camelCase(name)] = checkEach(`--${name}`, flag, given[name]);
    }
  }
  return { help: given.help === true, positionals: parsed.positionals, values, members };
}

/**
 * @param {Flags} flags
 * @returns {string} a line per flag
 */
export function describeFlags(flags) {
  const rows = Object.entries(flags).map(([name, { type, value, choices, help, fallback }]) => {
    const takes = value ?? choices?.join('|') ?? (/^(integer|number)$/.test(type) ? 'N' : 'VALUE');
    if (type === 'boolean') return [`  --${name}`, help];
    const suffix = fallback === undefined ? '' : ` (default ${fallback})`;
    return [`  --${name} ${takes}`, help + suffix];
  });
  rows.push(['  --help', 'this text']);
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => left.padEnd(width) + right).join('\n');
}
