/**
 * Builds the benchmark's programs, runs every row on 127.0.0.1, and prints one table. What is
 * measured, and how, is in bench/README.md.
 *
 * Usage: npm run bench -- [--quick] [--only ROW]... [--runs N] [--publish]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildAddon } from '../scripts/build.mjs';
import { mustRun } from '../scripts/lib/run.mjs';
import { adminTable, adminVerdicts, measureAdmin } from './measure/admin.mjs';
import { admissionTable, admissionVerdicts, measureAdmission } from './measure/admission.mjs';
import { cancelTable, cancelVerdicts, measureCancel } from './measure/cancel.mjs';
import { cacheTable, cacheVerdicts, measureCache } from './measure/components/cache.mjs';
import {
  faceStreamsTable,
  faceStreamsVerdicts,
  measureFaceStreams,
} from './measure/face-streams.mjs';
import { jobTable, jobVerdicts, measureJobs } from './measure/job.mjs';
import { facesTable, facesVerdicts, measureFaces } from './measure/faces.mjs';
import { limiterTable, limiterVerdicts, measureLimiters } from './measure/components/limiter.mjs';
import { measure, streamsThatFit } from './measure/load.mjs';
import { logsTable, logsVerdicts, measureLogs } from './measure/components/logs.mjs';
import { median, medians } from './lib/median.mjs';
import { measureMemory } from './measure/memory.mjs';
import { durableTable, durableVerdicts, measureDurable } from './measure/components/durable.mjs';
import { plot } from './report/plot.mjs';
import { measureQuality } from './measure/quality.mjs';
import { measureResume } from './measure/resume.mjs';
import { measureStart, startTable, startVerdicts } from './measure/startup.mjs';
import { rows } from './lib/rows.mjs';
import { binaries, setups, systemPackages } from './lib/setups.mjs';
import { memoryTable, resumeTable, table, verdictTable } from './report/table.mjs';
import { publishQuality } from './report/publish.mjs';
import { qualityTable } from './report/quality.mjs';
import { resumeVerdicts, verdictsOf } from './report/verdicts.mjs';
import { versions } from './report/versions.mjs';

const RESULTS = fileURLToPath(new URL('results/', import.meta.url));
const rowIds = [
  ...rows.map(({ id }) => id),
  ...['job', 'resume', 'cancel', 'memory', 'admission', 'cache', 'limiter', 'durable', 'logs'],
  ...['faces', 'start-up', 'admin', 'quality'],
];

const NOT_MEASURED = `Not measured: other machines, a network between client and server (all is
loopback), TLS, HTTP/2, several processes of one server, prompts and answers of real size, the
uneven pace of a real model, and the time to the first token.`;

/** Cores that the rest of the machine may use before a run counts as disturbed. */
const OTHERS_SHARE_MAX = 0.25;

function parseOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      runs: { type: 'string' },
      publish: { type: 'boolean', default: false },
    },
  });
  const unknown = values.only.filter((id) => !rowIds.includes(id));
  if (unknown.length > 0) {
    throw new RangeError(`--only takes ${rowIds.join(', ')}, not ${unknown.join(', ')}`);
  }
  const runs = Number(values.runs ?? (values.quick ? 1 : 3));
  if (!Number.isInteger(runs) || runs < 1) throw new RangeError('--runs takes a number from 1');
  const { quick, only, publish } = values;
  return { quick, only, runs, publish };
}

/**
 * @param {import('./lib/rows.mjs').Row} row
 * @param {{quick: boolean, runs: number}} options
 * @param {(notice: string) => void} notify
 * @returns {Promise<import('./report/verdicts.mjs').RowResult>}
 */
async function runRow(row, { quick, runs }, notify) {
  const streams = (quick && row.quick.streams) || row.streams;
  const cases = ((quick && row.quick.cases) || row.cases).map((each) => {
    const { label, missing } = setups[each.setup];
    return {
      setup: each.setup,
      label: each.note === undefined ? label : `${label}, ${each.note}`,
      streams: each.streams ?? streams,
      intervalMs: each.intervalMs ?? row.intervalMs,
      skipped: missing?.(),
      /** @type {import('./measure/load.mjs').Sample[]} */
      samples: [],
    };
  });
  /** Descriptors per stream, by setup: those of its first run are assumed. @type {Map<string, number>} */
  const descriptors = new Map();
  let [taken, disturbed] = [0, 0];
  // Interleaved, so that a disturbance of the machine does not hit one server alone.
  for (let run = 1; run <= runs; run += 1) {
    for (const each of cases) {
      if (each.skipped !== undefined) continue;
      const perStream = descriptors.get(each.setup) ?? (setups[each.setup].needsUpstream ? 2 : 1);
      const { streams: most, notice } = streamsThatFit(each.streams, perStream);
      if (notice !== undefined) notify(notice);
      each.streams = most;
      const sample = await measure({
        ...each,
        blockMs: row.blockMs,
        rampMs: quick ? 300 : (row.rampMs ?? 1000),
        settleMs: 1000,
        measureMs: quick ? 1500 : (row.measureMs ?? 4000),
      });
      descriptors.set(each.setup, Math.max(perStream, sample.descriptors_per_stream));
      each.samples.push(sample);
      if (sample.others_cpu_share > OTHERS_SHARE_MAX) disturbed += 1;
      taken += 1;
      const us = sample.cpu_us_per_token.toFixed(1);
      const p99 = (sample.p99_us / 1000).toFixed(1);
      const label = `${row.id} ${run}/${runs}  ${each.label}`;
      console.error(`${label}: ${sample.open} streams, ${us} us/token, p99 ${p99} ms`);
    }
  }
  if (disturbed > 0) {
    const share = `more than ${OTHERS_SHARE_MAX} of a core`;
    notify(`${row.id}: during ${disturbed} of ${taken} runs other processes used ${share}`);
  }
  return {
    ...{ id: row.id, title: row.title, shows: row.shows, ours: row.ours },
    ...{ bars: row.bars ?? [], delayMsMax: row.delayMsMax },
    cases: cases.map(({ samples, ...rest }) => ({
      ...rest,
      runs: samples.length,
      sample: samples.length > 0 ? medians(/** @type {any} */ (samples)) : undefined,
    })),
  };
}

/** @param {{quick: boolean, runs: number}} options */
async function runResume({ quick, runs }) {
  const plan = quick
    ? { logLengths: [1000, 20_000], missed: [100, 1000, 5000], tokensPerCase: 50_000 }
    : { logLengths: [1000, 10_000, 100_000], missed: [100, 1000, 10_000], tokensPerCase: 500_000 };
  /** @type {import('./measure/resume.mjs').ResumeSample[][]} */
  const all = [];
  for (let run = 1; run <= runs; run += 1) {
    console.error(`resume ${run}/${runs}`);
    all.push(await measureResume(plan));
  }
  return all[0].map((sample, i) => ({
    ...sample,
    cpuUs: median(all.map((samples) => samples[i].cpuUs)),
  }));
}

/** Builds the addon of the sources at hand, and the benchmark's own programs. */
async function build() {
  if (!(await buildAddon())) process.exit(1);
  await mustRun('cmake', ['-S', 'bench', '-B', binaries, '-DCMAKE_BUILD_TYPE=Release'], {
    capture: true,
  });
  await mustRun('cmake', ['--build', binaries, '-j', '2']);
}

async function main() {
  const options = parseOptions();
  if (process.platform !== 'linux') throw new Error('the benchmark needs Linux (epoll and /proc)');
  await build();
  const isSelected = (/** @type {string} */ id) =>
    options.only.length === 0 || options.only.includes(id);
  /** @type {Set<string>} */
  const notices = new Set();
  const done = [];
  for (const row of rows) {
    if (isSelected(row.id)) done.push(await runRow(row, options, (notice) => notices.add(notice)));
  }
  const jobs = isSelected('job') ? await measureJobs(options, binaries) : undefined;
  const start = isSelected('start-up') ? await measureStart(options) : undefined;
  const resume = isSelected('resume') ? await runResume(options) : [];
  const cancel = isSelected('cancel') ? await measureCancel(options) : undefined;
  const memory = isSelected('memory') ? await runMemory(options) : undefined;
  const admission = isSelected('admission') ? await measureAdmission(options) : undefined;
  const cache = isSelected('cache') ? measureCache(options) : undefined;
  const limiters = isSelected('limiter') ? measureLimiters(options) : undefined;
  const durable = isSelected('durable') ? measureDurable(options, binaries) : undefined;
  const logs = isSelected('logs') ? measureLogs(options) : undefined;
  const faces = isSelected('faces') ? measureFaces(options, binaries) : undefined;
  const faceStreams = isSelected('faces') ? await measureFaceStreams(options) : undefined;
  const admin = isSelected('admin') ? await measureAdmin(options) : undefined;
  const quality = isSelected('quality') ? await measureQuality(options) : undefined;
  const own = {
    admin,
    quality,
    jobs,
    start,
    cancel,
    admission,
    cache,
    limiters,
    durable,
    logs,
    faces,
    faceStreams,
  };
  report(options, { done, resume, memory, ...own, notices: [...notices] });
}

/** @param {{quick: boolean}} options */
function runMemory({ quick }) {
  console.error('memory');
  const { streams } = streamsThatFit(quick ? 2000 : 9000, 1);
  return measureMemory({ few: Math.min(1000, streams / 2), many: streams });
}

/**
 * @param {ReturnType<typeof parseOptions>} options
 * @param {object} results
 * @param {import('./report/verdicts.mjs').RowResult[]} results.done
 * @param {import('./measure/job.mjs').JobSample[]} [results.jobs]
 * @param {import('./measure/startup.mjs').StartSample} [results.start]
 * @param {import('./measure/resume.mjs').ResumeSample[]} results.resume
 * @param {import('./measure/cancel.mjs').CancelSample[]} [results.cancel]
 * @param {import('./measure/memory.mjs').MemoryBudget} [results.memory]
 * @param {import('./measure/admission.mjs').AdmissionSample[]} [results.admission]
 * @param {import('./measure/components/cache.mjs').CacheResult} [results.cache]
 * @param {import('./measure/components/limiter.mjs').LimiterSample[]} [results.limiters]
 * @param {import('./measure/components/durable.mjs').DurableResult} [results.durable]
 * @param {import('./measure/components/logs.mjs').LogSample[]} [results.logs]
 * @param {import('./measure/faces.mjs').FaceSample[]} [results.faces]
 * @param {import('./measure/face-streams.mjs').FaceStreams} [results.faceStreams]
 * @param {import('./measure/admin.mjs').AdminSample} [results.admin]
 * @param {import('./measure/quality.mjs').QualityCase[]} [results.quality]
 * @param {string[]} results.notices
 */
function report(options, results) {
  const { done, notices, ...measured } = results;
  const { jobs, start, resume, cancel, memory, admission, cache } = measured;
  const { limiters, durable, logs, faces, faceStreams, admin, quality } = measured;
  const verdicts = [
    ...done.flatMap(verdictsOf),
    ...(jobs === undefined ? [] : jobVerdicts(jobs)),
    ...(start === undefined ? [] : startVerdicts(start)),
    ...(resume.length > 0 ? resumeVerdicts(resume) : []),
    ...(cancel === undefined ? [] : cancelVerdicts(cancel)),
    ...(admission === undefined ? [] : admissionVerdicts(admission)),
    ...(cache === undefined ? [] : cacheVerdicts(cache)),
    ...(limiters === undefined ? [] : limiterVerdicts(limiters)),
    ...(durable === undefined ? [] : durableVerdicts(durable)),
    ...(logs === undefined ? [] : logsVerdicts(logs)),
    ...(faces === undefined ? [] : facesVerdicts(faces)),
    ...(faceStreams === undefined ? [] : faceStreamsVerdicts(faceStreams)),
    ...(admin === undefined ? [] : adminVerdicts(admin)),
  ];
  const versionsHere = versions();
  const skipped = done.some(({ cases }) => cases.some((each) => each.skipped !== undefined));
  const text = [
    `${Object.entries(versionsHere)
      .map((pair) => pair.join(' '))
      .join(' | ')}`,
    done.length > 0 ? table(done) : '',
    jobs === undefined ? '' : jobTable(jobs),
    start === undefined ? '' : startTable(start),
    resume.length > 0 ? resumeTable(resume) : '',
    cancel === undefined ? '' : cancelTable(cancel),
    memory === undefined ? '' : memoryTable(memory),
    admission === undefined ? '' : admissionTable(admission),
    cache === undefined ? '' : cacheTable(cache),
    limiters === undefined ? '' : limiterTable(limiters),
    durable === undefined ? '' : durableTable(durable),
    logs === undefined ? '' : logsTable(logs),
    faces === undefined ? '' : facesTable(faces),
    faceStreams === undefined ? '' : faceStreamsTable(faceStreams),
    admin === undefined ? '' : adminTable(admin),
    quality === undefined ? '' : qualityTable(quality),
    verdicts.length > 0 ? `bars\n${verdictTable(verdicts)}` : '',
    notices.join('\n'),
    skipped ? `skipped peers on Debian: apt-get install ${systemPackages.join(' ')}` : '',
    options.quick ? 'One short run of each; the full benchmark takes the median of three.' : '',
    NOT_MEASURED,
  ].filter((part) => part !== '');
  console.log(`\n${text.join('\n\n')}`);
  mkdirSync(RESULTS, { recursive: true });
  // Only a full run may stand for this version.
  const name = options.quick || options.only.length > 0 ? 'partial' : 'latest';
  const date = new Date().toISOString();
  const json = {
    date,
    runs: options.runs,
    versions: versionsHere,
    rows: done,
    ...measured,
    verdicts,
    notices,
  };
  writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(json, null, 2)}\n`);
  const { sluice, node, cpu } = versionsHere;
  const caption = `Sluice ${sluice}, node ${node}, ${cpu}, ${date.slice(0, 10)}`;
  writeFileSync(join(RESULTS, `${name}.svg`), plot(done, caption));
  console.log(`\nbench/results/${name}.json and .svg written`);
  if (options.publish && quality !== undefined) publishQuality(quality, versionsHere, options);
}

try {
  await main();
} catch (/** @type {any} */ error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
process.exit();
