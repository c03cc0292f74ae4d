/** Formats a report as text and as JUnit XML; the report object itself is the JSON format. */

/** @typedef {import('./results.js').Report} Report */
/** @typedef {import('./results.js').RuleResult} RuleResult */

const MARKS = Object.freeze({ passed: 'ok', failed: 'FAILED', skipped: 'skipped' });

/**
 * A result as lines of text: id and title; for a failure also the reason and the source of the rule.
 * @param {RuleResult} result
 * @returns {string} text that ends with a line feed
 */
export function resultText({ id, title, status, reason, source }) {
  const line = `${MARKS[status].padEnd(9)}${id.padEnd(30)}${title}\n`;
  const indent = ' '.repeat(9);
  if (status === 'skipped') return `${line}${indent}${reason}\n`;
  if (status === 'passed') return line;
  return `${line}${indent}${reason}\n${indent}${source.title}: "${source.text}"\n${indent}${source.url}\n`;
}

/** @param {Report} report @returns {string} the last line */
export function summaryText({ url, adapter, passed, failed, skipped }) {
  return `${url} as ${adapter}: ${passed} passed, ${failed} failed, ${skipped} skipped\n`;
}

/**
 * @param {Report} report
 * @returns {string}
 */
export function toText(report) {
  return report.results.map(resultText).join('') + summaryText(report);
}

/** @type {Record<string, string>} */
const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** Characters that XML 1.0 forbids. */
const FORBIDDEN = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/** @param {string} text @returns {string} with U+FFFD in place of forbidden characters */
function escape(text) {
  return text.replace(FORBIDDEN, '\ufffd').replace(/[&<>"']/g, (one) => ESCAPES[one]);
}

/** @param {RuleResult} result */
function testCase({ id, title, status, reason = '', source, durationMs }) {
  const [group] = id.split('/');
  const name = escape(`${id}: ${title}`);
  const head = `<testcase classname="${group}" name="${name}" time="${(durationMs / 1000).toFixed(3)}"`;
  if (status === 'passed') return `    ${head}/>`;
  const message = escape(reason);
  if (status === 'skipped') return `    ${head}><skipped message="${message}"/></testcase>`;
  const text = escape(`${source.title}: "${source.text}" ${source.url}`);
  return `    ${head}><failure message="${message}">${text}</failure></testcase>`;
}

/**
 * @param {Report} report
 * @returns {string} XML in JUnit's format
 */
export function toJunit({ url, adapter, results, failed, skipped }) {
  const seconds = results.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000;
  const counts = `tests="${results.length}" failures="${failed}" skipped="${skipped}" time="${seconds.toFixed(3)}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${escape(`${adapter} at ${url}`)}" ${counts}>`,
    ...results.map(testCase),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}
