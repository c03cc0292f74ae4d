/** `sluice doctor`: whether `sluice serve` with the same flags would work here. */
import { flags as serveFlags, checkServe, serveMembers } from './serve.js';
import { describeFlags, parseFlags } from './flags.js';
import {
  checkAddon,
  checkData,
  checkFiles,
  checkLibcurl,
  checkModelFile,
  checkNode,
  checkPort,
  checkUpstream,
} from './checks.js';
import { chosenProvider, splitRoute } from './provider-flags.js';

/** @typedef {import('./checks.js').Finding} Finding */

const USED = ['port', 'host', 'open', 'provider', 'upstream', 'model', 'data', 'config'];

export const summary = 'check that a server would work here';

/** Flags that the help lists. @type {import('./flags.js').Flags} */
export const shown = {
  ...Object.fromEntries(USED.map((name) => [name, serveFlags[name]])),
  json: { type: 'boolean', help: 'JSON instead of text', default: false },
};

/** Those of serve too, so that its command line can be checked as it is. @type {import('./flags.js').Flags} */
export const flags = { ...serveFlags, ...shown };

export const help = `Usage: sluice doctor [options]

Checks Node, the addon, the port, the limit of open files, the upstream with its key and model, and
the data file, for "sluice serve" with the same options (it takes all of them), and says what to do.
Changes nothing. Exit code 1 if a server would not work. An API key is read from OPENAI_API_KEY.

${describeFlags(shown)}
`;

const MARKS = Object.freeze({ ok: 'ok', warning: 'warning', problem: 'PROBLEM' });

/**
 * @param {Record<string, any>} values of the flags
 * @returns {[name: string, check: () => Finding | Promise<Finding>][]}
 */
function checksFor(values) {
  const { upstream, model, data } = values;
  const chosen = chosenProvider(values);
  /** @type {[string, () => Finding | Promise<Finding>][]} */
  const checks = [
    ['node', () => checkNode()],
    ['addon', checkAddon],
    ['files', () => checkFiles()],
    ['port', () => checkPort(values)],
  ];
  if (chosen === 'openai') {
    checks.push(['libcurl', checkLibcurl]);
    if (upstream !== undefined) checks.push(['upstream', () => checkUpstream(values)]);
  }
  if (chosen === 'llama' && model !== undefined) {
    checks.push(['model', () => checkModelFile(values)]);
  }
  if (data !== undefined) checks.push(['data', () => checkData(values)]);
  return checks;
}

/** @param {string} name @param {Finding} finding @returns {string} */
function lineOf(name, { level, message, advice }) {
  const line = `${MARKS[level].padEnd(9)}${name.padEnd(10)}${message}\n`;
  return advice === undefined ? line : `${line}${' '.repeat(19)}${advice}\n`;
}

/**
 * @param {string[]} argv
 * @returns {Promise<number>} exit code
 */
export async function run(argv) {
  const parsed = parseFlags(flags, argv, { members: serveMembers });
  if (parsed.help) {
    process.stdout.write(help);
    return 0;
  }
  const { values, members } = parsed;
  const { access, route } = splitRoute(members);
  checkServe(values, access, route);
  /** @type {(Finding & {check: string})[]} */
  const findings = [];
  for (const [check, find] of checksFor(values)) {
    const finding = await find();
    findings.push({ check, ...finding });
    if (!values.json) process.stdout.write(lineOf(check, finding));
  }
  if (values.json) process.stdout.write(`${JSON.stringify(findings)}\n`);
  return findings.some(({ level }) => level === 'problem') ? 1 : 0;
}
