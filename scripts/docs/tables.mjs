/** Tables of options and of flags, as Markdown. */
import { SPAN_MS_MAX } from '../../lib/internal/util/option-table.js';
import { takesOf } from '../../lib/cli/flags.js';

/** @typedef {import('../../lib/internal/util/option-table.js').OptionRow} OptionRow */

const MIB = 2 ** 20;

/**
 * @param {unknown} value
 * @param {string} [unit]
 */
function valueText(value, unit) {
  if (unit === 'bytes' && typeof value === 'number' && value >= MIB && value % MIB === 0) {
    return `${value / MIB} MiB`;
  }
  return String(value);
}

/** @param {OptionRow} row */
function rangeText({ type, unit, min, max, infinite, choices, takes }) {
  switch (type) {
    case 'integer': {
      const low = min ?? 1;
      const range =
        max === undefined || max >= SPAN_MS_MAX
          ? `${valueText(low, unit)} or more`
          : `${valueText(low, unit)} to ${valueText(max, unit)}`;
      return unit === undefined || (unit === 'bytes' && / MiB$/.test(range))
        ? range
        : `${range} ${unit}`;
    }
    case 'milliseconds':
      if (max !== undefined && !infinite) return `ms, ${min ?? 0} to ${max}`;
      return `ms${min ? `, ${min} or more` : ''}${infinite ? ', or Infinity' : ''}`;
    case 'choice':
      return (choices ?? []).map((choice) => `\`${choice}\``).join(', ');
    case 'boolean':
      return '`true`, `false`';
    case 'strings':
      return `an array of ${takes}`;
    default:
      return takes ?? 'a string';
  }
}

/** @param {{default?: unknown, defaultText?: string, required?: boolean, unit?: string, type: string}} row */
function defaultText({ default: value, defaultText: text, required, unit, type }) {
  if (required) return 'required';
  if (text !== undefined) return text;
  if (value === undefined) return 'none';
  return type === 'choice' || type === 'string' ? `\`${value}\`` : valueText(value, unit);
}

/** @param {string[][]} rows */
function table(rows) {
  return rows
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')
    .concat('\n');
}

/** @param {readonly OptionRow[]} rows */
export function optionTable(rows) {
  return table([
    ['option', 'takes', 'default', ''],
    ['---', '---', '---', '---'],
    ...rows.map((row) => [
      `\`${row.path}\``,
      rangeText(row),
      defaultText(row),
      row.more === undefined ? row.help : `${row.help}. ${row.more}`,
    ]),
  ]);
}

/** @param {import('../../lib/cli/flags.js').Flags} flags */
export function flagTable(flags) {
  return table([
    ['flag', 'default', ''],
    ['---', '---', '---'],
    ...Object.entries(flags).map(([name, flag]) => [
      `\`--${name}${flag.type === 'boolean' ? '' : ` ${takesOf(flag)}`}\``,
      flag.type === 'boolean' || (flag.default === undefined && flag.defaultText === undefined)
        ? ''
        : defaultText(flag),
      flag.help,
    ]),
  ]);
}
