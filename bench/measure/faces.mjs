/**
 * The row of faces: CPU of the core for one entry of a log and its frame for one reader, in each
 * protocol, beside the frame of Sluice's own protocol. Without sockets and without JavaScript.
 */
import { join } from 'node:path';
import { output } from '../../scripts/lib/run.mjs';
import { median } from '../lib/median.mjs';
import { columns } from '../report/table.mjs';

const PROTOCOLS = /** @type {const} */ ([
  ['native', "Sluice's own"],
  ['chat', 'chat completions'],
  ['completions', 'completions'],
  ['responses', 'responses'],
  ['ui', 'UI message stream'],
  ['messages', 'messages'],
]);

/** Of the native frame's. */
const SHARE_MAX = 1.25;

/**
 * @typedef {object} FaceSample
 * @property {string} protocol
 * @property {string} label
 * @property {number} ns CPU per entry
 * @property {number} bytes of a frame
 */

/**
 * @param {{quick: boolean, runs: number}} options
 * @param {string} binaries folder of the C++ programs
 * @returns {FaceSample[]}
 */
export function measureFaces({ quick, runs }, binaries) {
  const samples = Array.from({ length: quick ? 1 : Math.max(runs, 5) }, () => {
    const text = output(join(binaries, 'face_cost'), [quick ? '20000' : '200000']);
    if (text === '') throw new Error('face_cost failed');
    return JSON.parse(text);
  });
  return PROTOCOLS.map(([protocol, label]) => ({
    protocol,
    label,
    ns: median(samples.map((sample) => sample[protocol].ns)),
    bytes: samples[0][protocol].bytes,
  }));
}

/** @param {FaceSample[]} samples */
export function facesTable(samples) {
  return columns([
    ['an entry and its frame', 'ns of CPU', 'bytes'],
    ...samples.map(({ label, ns, bytes }) => [`  ${label}`, ns.toFixed(0), bytes.toFixed(0)]),
  ]);
}

/**
 * @param {FaceSample[]} samples
 * @returns {import('../report/verdicts.mjs').Verdict[]}
 */
export function facesVerdicts(samples) {
  const [native, ...faces] = samples;
  return faces.map(({ label, ns }) => ({
    title: `faces: CPU per entry, ${label} / ${native.label}`,
    figure: (ns / native.ns).toFixed(2),
    bar: `at most ${SHARE_MAX.toFixed(2)}`,
    met: ns / native.ns <= SHARE_MAX,
  }));
}
