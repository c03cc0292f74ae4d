/**
 * The row of durability: records a second that are on the disk, of Sluice's store, of lmdb and of a
 * bare SQLite loop in C++, and the increase of the time to the first token by a data file. Each figure
 * is measured in a separate process with a separate file, in the folder for temporary files.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { output } from '../../../scripts/lib/run.mjs';
import { median } from '../../lib/median.mjs';
import { columns } from '../../report/table.mjs';

const PROGRAM = fileURLToPath(new URL('durable-case.mjs', import.meta.url));

/** Records awaited at once, or per transaction of the bare loop. */
export const TOGETHER = 64;

const KINDS = /** @type {const} */ ([
  ['sluice', 'Sluice'],
  ['lmdb', 'lmdb'],
  ['bare', 'bare SQLite loop'],
]);
const CASES = /** @type {const} */ (['one', 'many']);

/** Of the bare loop's, with as many records a transaction. */
const SHARE_MIN = 0.2;

/**
 * @typedef {object} DurableResult
 * @property {{label: string, kind: string, rates: Record<string, number>}[]} stores records a second
 * @property {{memory: number, file: number}} firstMs milliseconds to the first token
 */

/**
 * @param {string} program
 * @param {(folder: string) => string[]} args
 * @returns {any}
 */
function runCase(program, args) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  try {
    const text = output(program, args(folder));
    if (text === '') throw new Error(`a case of durability failed: ${args('').join(' ')}`);
    return JSON.parse(text);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {{quick: boolean, runs: number}} options
 * @param {string} binaries folder of the C++ programs
 * @returns {DurableResult}
 */
export function measureDurable({ quick, runs }, binaries) {
  const ms = quick ? '300' : '2000';
  /** @type {Map<string, number[]>} */
  const figures = new Map();
  const note = (/** @type {string} */ name, /** @type {number} */ figure) => {
    figures.set(name, [...(figures.get(name) ?? []), figure]);
  };
  const inNode = (/** @type {string} */ kind, /** @type {string} */ each) =>
    runCase(process.execPath, (folder) => [PROGRAM, kind, each, ms, folder]);
  const bare = (/** @type {string} */ each) =>
    runCase(join(binaries, 'sqlite_commits'), (folder) => [
      join(folder, 'bare.db'),
      ms,
      each === 'one' ? '1' : String(TOGETHER),
    ]);
  for (let run = 1; run <= runs; run += 1) {
    console.error(`durable ${run}/${runs}`);
    for (const [kind] of KINDS) {
      for (const each of CASES) {
        const { perSecond } = kind === 'bare' ? bare(each) : inNode(kind, each);
        note(`${kind} ${each}`, perSecond);
      }
    }
    for (const kind of ['memory', 'file']) note(kind, inNode(kind, 'first').ms);
  }
  const figure = (/** @type {string} */ name) => median(figures.get(name) ?? [NaN]);
  return {
    stores: KINDS.map(([kind, label]) => ({
      kind,
      label,
      rates: Object.fromEntries(CASES.map((each) => [each, figure(`${kind} ${each}`)])),
    })),
    firstMs: { memory: figure('memory'), file: figure('file') },
  };
}

/** @param {DurableResult} result */
export function durableTable({ stores, firstMs }) {
  return columns([
    ['records on disk/s', 'one at a time', `${TOGETHER} at once`],
    ...stores.map(({ label, rates }) => [
      `  ${label}`,
      ...CASES.map((each) => rates[each].toFixed(0)),
    ]),
    ['ms to the first token', 'in memory', 'with a file'],
    ['  Sluice', firstMs.memory.toFixed(2), firstMs.file.toFixed(2)],
  ]);
}

/**
 * @param {DurableResult} result
 * @returns {import('../../report/verdicts.mjs').Verdict[]}
 */
export function durableVerdicts({ stores }) {
  const many = (/** @type {string} */ kind) =>
    stores.find((each) => each.kind === kind)?.rates.many ?? NaN;
  const share = many('sluice') / many('bare');
  return [
    {
      title: `durable: records on disk/s, ${TOGETHER} at once, Sluice / bare SQLite loop`,
      figure: share.toFixed(2),
      bar: `at least ${SHARE_MIN.toFixed(2)}`,
      met: share >= SHARE_MIN,
    },
  ];
}
