/**
 * Tables of options. A row is the only definition of an option: checks, flags of the command line,
 * types and documentation are generated from it.
 */
import { rangeError, typeError } from './errors.js';
import {
  checkBoolean,
  checkChoice,
  checkInteger,
  checkMs,
  checkOptions,
  checkString,
} from './validate.js';

/**
 * @typedef {object} OptionRow
 * @property {string} path in the callers' notation, for example `batching.maxBatchSize`
 * @property {'integer' | 'milliseconds' | 'choice' | 'boolean' | 'string' | 'strings' | 'other'} type
 *   `other`: checked by the code that uses it
 * @property {string} help one line
 * @property {string} [more] for the documentation only, in Markdown
 * @property {string} [unit] of an integer: `bytes`, `jobs`, ...
 * @property {number | string | boolean} [default] undefined: none
 * @property {boolean} [empty] whether a string may be empty; default false
 * @property {string} [defaultText] the default in words, if it depends on other values
 * @property {number} [min] default 1 for an integer, 0 for milliseconds
 * @property {number} [max]
 * @property {boolean} [infinite] allows Infinity
 * @property {readonly string[]} [choices]
 * @property {string} [takes] description of the value in errors, for a string or strings: `the path of a file`
 * @property {string} [jsType] TypeScript type, for `other`
 * @property {boolean} [required]
 * @property {string} [flag] name on the command line, without `--`
 * @property {string} [flagValue] placeholder of its value in the help
 * @property {string} [env] environment variable with the value if there is no flag
 * @property {string} [formerly] deprecated name of the option; the flag of that name is deprecated too
 */

/** The longest wait of a timer. */
export const SPAN_MS_MAX = 2 ** 31 - 1;

/** Options whose deprecated names have already caused a warning in this process. */
const warned = new Set();

/**
 * @param {string} formerly
 * @param {string} name
 */
function warnOnce(formerly, name) {
  if (warned.has(formerly)) return;
  warned.add(formerly);
  process.emitWarning(
    `The option ${formerly} is now ${name}; the next version drops the old name.`,
    { type: 'DeprecationWarning', code: 'SLUICE_DEPRECATED_OPTION' },
  );
}

/**
 * @param {OptionRow} row
 * @param {string} path as written by the caller
 * @param {unknown} value not undefined
 */
function checkValue({ type, min, max, infinite, choices, takes, empty }, path, value) {
  switch (type) {
    case 'integer':
      return checkInteger(path, value, { min, max });
    case 'milliseconds':
      return checkMs(path, value, { min, max, infinite });
    case 'choice':
      return checkChoice(path, value, /** @type {readonly string[]} */ (choices));
    case 'boolean':
      return checkBoolean(path, value, false);
    case 'string':
      if (checkString(path, value) !== '' || empty) return value;
      throw rangeError(`${path} takes ${takes ?? 'a string that is not empty'}`);
    case 'strings':
      if (Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')) {
        return value;
      }
      throw typeError(`${path} takes an array of ${takes}`);
    default:
      return value;
  }
}

/** @param {string} path @returns {[group: string, name: string]} group: '' for the outermost object */
function splitPath(path) {
  const dot = path.lastIndexOf('.');
  return [path.slice(0, Math.max(0, dot)), path.slice(dot + 1)];
}

/**
 * @param {readonly OptionRow[]} rows
 * @returns {Map<string, OptionRow[]>} grouped by their object
 */
function groupRows(rows) {
  /** @type {Map<string, OptionRow[]>} */
  const groups = new Map([['', []]]);
  for (const row of rows) {
    const [group] = splitPath(row.path);
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [row]);
    else members.push(row);
  }
  return groups;
}

/**
 * Moves values from deprecated names to current names.
 * @param {string} subject
 * @param {readonly OptionRow[]} rows of one object
 * @param {Record<string, any>} given
 * @returns {{values: Record<string, any>, renamed: Map<string, string>}} `renamed`: paths by old names
 */
function renameOld(subject, rows, given) {
  const values = { ...given };
  /** @type {Map<string, string>} */
  const renamed = new Map();
  for (const { path, formerly } of rows) {
    if (formerly === undefined || !Object.hasOwn(values, formerly)) continue;
    const value = values[formerly];
    delete values[formerly];
    if (value === undefined) continue;
    const [, name] = splitPath(path);
    if (values[name] !== undefined) {
      throw typeError(`${subject} takes ${name} or its old name ${formerly}, not both`);
    }
    values[name] = value;
    renamed.set(path, formerly);
  }
  return { values, renamed };
}

/**
 * Checks options by their table.
 * @param {string} subject name of the receiver in errors
 * @param {readonly OptionRow[]} rows
 * @param {object | undefined} given undefined: no options
 * @param {Record<string, unknown>} [defaults] by path; override those of the table
 * @returns {Record<string, any>} the values, nested as in `given`, with defaults filled in
 * @throws {TypeError | RangeError} naming the option and its valid values, or an unknown option
 */
export function checkTable(subject, rows, given, defaults = {}) {
  const groups = groupRows(rows);
  const outer = /** @type {Record<string, any>} */ (checkOptions(`${subject}: options`, given));
  /** @type {Record<string, any>} */
  const checked = {};
  for (const [group, members] of groups) {
    const at = group === '' ? subject : group;
    const own = checkOptions(at, group === '' ? outer : outer[group]);
    const { values, renamed } = renameOld(subject, members, own);
    const nested = group === '' ? [...groups.keys()].filter((name) => name !== '') : [];
    checkOptions(at, values, [...members.map(({ path }) => splitPath(path)[1]), ...nested]);
    const target = group === '' ? checked : (checked[group] = {});
    for (const row of members) {
      const { path } = row;
      const [, name] = splitPath(path);
      const old = renamed.get(path);
      const fallback = path in defaults ? defaults[path] : row.default;
      const value = values[name];
      target[name] = value === undefined ? fallback : checkValue(row, old ?? path, value);
      if (old !== undefined) warnOnce(old, name);
    }
  }
  return checked;
}
