/** Types of options, as JSDoc. */

/** @typedef {import('../../lib/internal/util/option-table.js').OptionRow} OptionRow */

const WIDTH = 108;

/** @param {OptionRow} row */
function typeOf({ type, choices, jsType }) {
  switch (type) {
    case 'integer':
    case 'milliseconds':
      return 'number';
    case 'choice':
      return (choices ?? []).map((choice) => `'${choice}'`).join(' | ');
    case 'strings':
      return 'string[]';
    case 'other':
      return jsType ?? 'unknown';
    default:
      return type;
  }
}

/** @param {OptionRow} row */
function describe({ help, type, unit, default: value, defaultText }) {
  const text = help.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
  if (defaultText !== undefined) return `${text}; default: ${defaultText}`;
  if (value === undefined) return text;
  const shown = type === 'choice' || type === 'string' ? `\`${value}\`` : value;
  return `${text}; default ${shown}${unit === 'bytes' ? ' bytes' : ''}`;
}

/**
 * @param {string} text
 * @returns {string} JSDoc lines; lines after the first are indented
 */
function wrap(text) {
  const lines = [' *'];
  for (const word of text.split(' ')) {
    const last = lines.length - 1;
    if (`${lines[last]} ${word}`.length > WIDTH && lines[last].trim() !== '*') {
      lines.push(` *   ${word}`);
    } else {
      lines[last] += ` ${word}`;
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

/**
 * @param {string} name
 * @param {readonly OptionRow[]} rows
 * @param {{filledIn?: boolean}} [options] `filledIn`: for checked options, with defaults filled in
 * @returns {string} a comment
 */
export function typedef(name, rows, { filledIn = false } = {}) {
  const seen = new Set();
  let text = `/**\n * @typedef {object} ${name}\n`;
  for (const row of rows) {
    const [group, nested] = row.path.split('.');
    if (nested !== undefined && !seen.has(group)) {
      text += ` * @property {object} ${filledIn ? group : `[${group}]`}\n`;
    }
    seen.add(group);
    const always = filledIn
      ? row.default !== undefined || row.defaultText !== undefined
      : row.required === true;
    const head = `@property {${typeOf(row)}} ${always ? row.path : `[${row.path}]`}`;
    text += wrap(`${head} ${describe(row)}`);
    if (row.formerly !== undefined && !filledIn) {
      text += wrap(
        `@property {${typeOf(row)}} [${row.formerly}] deprecated name of \`${row.path}\``,
      );
    }
  }
  return `${text} */\n`;
}
