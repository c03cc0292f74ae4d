/**
 * The row of quality: the losses and waits of a stream through a gateway. All systems have the same
 * upstream, and the load is made by a separate process.
 */
import { measure } from './load.mjs';
import { measureQualityCancel } from './quality-cancel.mjs';
import { measureQualityResume } from './quality-resume.mjs';
import { medians } from '../lib/median.mjs';
import { setups } from '../lib/setups.mjs';

/** @typedef {import('./load.mjs').Sample} Sample */

/**
 * @typedef {object} QualityCase
 * @property {string} setup
 * @property {string} label
 * @property {string} [skipped] why it is not measured
 * @property {Sample} [load] 200 streams of 50 tokens/s
 * @property {Sample} [blocked] 50 streams, the main thread blocked 200 ms of every second
 * @property {Sample} [stalled] readers that stop reading after their first token
 * @property {import('./quality-cancel.mjs').CancelQuality} [cancel]
 * @property {import('./quality-resume.mjs').ResumeQuality} [resume]
 */

export const BASE = 'no-gateway';
const FLOOR = 'nginx-proxy';
const OWN = ['sluice-relay', 'face-chat', 'face-responses', 'face-ui', 'face-messages'];
const PEERS = ['portkey', 'openai-chat', 'openai-better-sse', 'ai-sdk-resumable'];
/** Their tokens do not pass a main thread of JavaScript. */
const NOT_BLOCKED = [BASE, FLOOR];

/**
 * @param {QualityCase} one
 * @param {keyof QualityCase} name
 * @param {() => Promise<unknown>} run
 */
async function fill(one, name, run) {
  console.error(`quality, ${name}: ${one.label}`);
  try {
    Object.assign(one, { [name]: await run() });
  } catch (/** @type {any} */ error) {
    // A system that fails a measurement keeps its other ones.
    console.error(`quality, ${name}: ${one.label}: ${error.message}`);
  }
}

/**
 * @param {QualityCase[]} cases
 * @param {'load' | 'blocked' | 'stalled'} name
 * @param {Omit<import('./load.mjs').Load, 'setup'>} load
 * @param {number} runs
 */
async function measureLoads(cases, name, load, runs) {
  /** @type {Map<QualityCase, Sample[]>} */
  const samples = new Map(cases.map((one) => [one, []]));
  // Interleaved, so that a disturbance of the machine does not hit one server alone.
  for (let run = 0; run < runs; run += 1) {
    for (const [one, taken] of samples) {
      await fill(one, name, async () => {
        taken.push(await measure({ setup: one.setup, ...load }));
        return medians(/** @type {any} */ (taken));
      });
    }
  }
}

/**
 * @param {{quick: boolean, runs: number}} options
 * @returns {Promise<QualityCase[]>}
 */
export async function measureQuality({ quick, runs }) {
  const cases = [BASE, FLOOR, ...OWN, ...PEERS].map((setup) => {
    const { label, missing } = setups[setup];
    return /** @type {QualityCase} */ ({ setup, label, skipped: missing?.() });
  });
  const present = cases.filter(({ skipped }) => skipped === undefined);
  const times = { settleMs: 1000, measureMs: quick ? 2000 : 6000 };
  const load = { streams: 200, intervalMs: 20, rampMs: quick ? 1000 : 2000, ...times };
  await measureLoads(present, 'load', load, runs);
  const scripts = present.filter(({ setup }) => !NOT_BLOCKED.includes(setup));
  const blocked = { streams: 50, intervalMs: 20, blockMs: 200, rampMs: 500, ...times };
  await measureLoads(scripts, 'blocked', blocked, runs);
  const stalled = { intervalMs: 20, rampMs: 2000, settleMs: 0, stall: true };
  const size = quick ? { streams: 200, measureMs: 5000 } : { streams: 1000, measureMs: 20_000 };
  const gateways = present.filter(({ setup }) => setup !== BASE);
  await measureLoads(gateways, 'stalled', { ...stalled, ...size }, 1);
  for (const one of gateways) {
    await fill(one, 'cancel', () => measureQualityCancel(one.setup, quick ? 20 : 200));
    await fill(one, 'resume', () => measureQualityResume(one.setup, quick ? 200 : 1000));
  }
  return cases;
}
