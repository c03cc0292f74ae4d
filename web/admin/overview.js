/** The first section: current numbers, charts, and tables of latencies, queue and memory. */
import { Chart } from './charts.js';
import { Rows, byTestId, bytes, h, number, showFacts, stateMark } from './dom.js';
import { duration, rate } from '../app/format.js';

/** Samples, one a second: a quarter of an hour. */
const RATES_MAX = 900;
/** Indices in a point of the feed. */
const FIRST_TOKEN = 4;
const PER_TOKEN = 7;
const SHOWN = ['p50', 'p95', 'p99'];

/** @param {string} model @param {string} upstream */
const nameOf = (model, upstream) => {
  if (model === '') return 'all jobs';
  return upstream === '' ? model : `${model} at ${upstream}`;
};

/** @param {number | null} value */
const ms = (value) => number(value, value !== null && value < 10 ? 1 : 0);

/** The overview. Its data come from the feed. */
export class Overview {
  /** @type {Map<string, {name: string, points: Map<number, (number | null)[]>}>} */
  #groups = new Map();
  /** @type {number[][]} */
  #rates = [];
  /** @type {any} */
  #capacity = { calls: 0, incoming: 0, processing: 0 };
  #bucketS = 10;
  #select = /** @type {HTMLSelectElement} */ (byTestId('group'));
  #isShown = false;
  #charts;
  #latency;
  #queue;
  #memory;
  #upstreams;
  #cluster;

  constructor() {
    const parent = byTestId('charts');
    const perSecond = (/** @type {number | null} */ value) =>
      number(value, value !== null && value < 10 ? 1 : 0);
    this.#charts = {
      tokens: new Chart(parent, { title: 'Tokens a second', lines: ['tokens'], format: perSecond }),
      jobs: new Chart(parent, {
        title: 'Jobs',
        lines: ['running', 'queued', 'streams'],
        format: perSecond,
      }),
      first: new Chart(parent, { title: 'Time to first token', lines: SHOWN, format: duration }),
      token: new Chart(parent, { title: 'Time per token', lines: SHOWN, format: duration }),
    };
    this.#select.addEventListener('change', () => this.#drawLatency());
    /** @type {(title: string, place: number) => import('./dom.js').Column<any>} */
    const column = (title, place) => ({
      title,
      class: 'number',
      cell: ({ point }) => ms(point[place]),
    });
    this.#latency = new Rows(
      byTestId('latency'),
      [
        { title: 'Model', head: true, cell: ({ model, upstream }) => nameOf(model, upstream) },
        { title: 'Jobs', class: 'number', cell: ({ point }) => number(point[1]) },
        { title: 'Failed', class: 'number', cell: ({ point }) => number(point[2]) },
        { title: 'Tokens', class: 'number', cell: ({ point }) => number(point[3]) },
        ...SHOWN.map((each, i) => column(`First token ${each}`, FIRST_TOKEN + i)),
        ...SHOWN.map((each, i) => column(`Per token ${each}`, PER_TOKEN + i)),
      ],
      ({ model, upstream }) => JSON.stringify([model, upstream]),
    );
    this.#queue = new Rows(
      byTestId('queue'),
      [
        { title: 'Stage', head: true, cell: ({ name }) => name },
        { title: 'Now', class: 'number', cell: ({ now }) => number(now) },
        { title: 'Room', class: 'number', cell: ({ max }) => number(max) },
        { title: '', cell: ({ name, now, max }) => gauge(name, now, max) },
      ],
      ({ name }) => name,
    );
    this.#memory = new Rows(
      byTestId('memory'),
      [
        { title: 'Kind', head: true, cell: ({ kind }) => kind.replaceAll('_', ' ') },
        { title: 'Held', class: 'number', cell: ({ held }) => bytes(held) },
        { title: '', cell: ({ kind, held, max }) => gauge(kind, held, max) },
      ],
      ({ kind }) => kind,
    );
    this.#upstreams = new Rows(
      byTestId('upstreams'),
      [
        { title: 'Name', head: true, cell: ({ name }) => name },
        { title: 'Circuit', cell: ({ open }) => stateMark(open ? 'open' : 'closed') },
        { title: 'In flight', class: 'number', cell: (each) => number(each.in_flight) },
        { title: 'Calls', class: 'number', cell: ({ calls }) => number(calls) },
        { title: 'Failures', class: 'number', cell: ({ failures }) => number(failures) },
      ],
      ({ name }) => name,
    );
    this.#cluster = new Rows(
      byTestId('cluster'),
      [
        { title: 'Process', class: 'mono', head: true, cell: ({ name }) => name },
        { title: '', cell: ({ isSelf }) => (isSelf ? 'this one' : '') },
      ],
      ({ name }) => name,
    );
  }

  /** @param {boolean} isShown */
  setShown(isShown) {
    this.#isShown = isShown;
    if (!isShown) return;
    this.#drawRates();
    this.#drawLatency();
  }

  /** @param {any} hello */
  hello({ capacity }) {
    this.#capacity = capacity;
    this.#groups.clear();
  }

  /** @param {{bucket_s: number, groups: any[]}} series */
  series({ bucket_s: bucketS, groups }) {
    this.#bucketS = bucketS;
    this.#add(groups);
    this.#drawLatency();
  }

  /** @param {{points: number[][]}} rates */
  rates({ points }) {
    this.#rates = points;
    this.#drawRates();
  }

  /** @param {any[]} groups */
  #add(groups) {
    for (const { model, upstream, points } of groups) {
      const key = JSON.stringify([model, upstream]);
      let group = this.#groups.get(key);
      if (group === undefined) {
        group = { name: nameOf(model, upstream), points: new Map() };
        this.#groups.set(key, group);
        this.#listGroups();
      }
      for (const point of points) group.points.set(point[0], point);
      const oldest = Date.now() / 1000 - RATES_MAX - this.#bucketS;
      for (const at of group.points.keys()) if (at < oldest) group.points.delete(at);
    }
  }

  #listGroups() {
    const { value } = this.#select;
    const options = [...this.#groups].map(([key, { name }]) => new Option(name, key));
    this.#select.replaceChildren(...options);
    if (this.#groups.has(value)) this.#select.value = value;
  }

  /** @param {any} sample */
  sample(sample) {
    const { at, tokens_per_s: tokens, jobs, open_streams: streams } = sample;
    if (this.#rates.at(-1)?.[0] !== at) {
      this.#rates.push([at, Math.round(tokens), jobs.running, jobs.queued, streams]);
    }
    if (this.#rates.length > RATES_MAX) this.#rates.shift();
    this.#add(sample.groups);
    if (!this.#isShown) return;
    this.#drawTiles(sample);
    this.#drawRates();
    this.#drawLatency();
    const { calls, incoming, processing } = this.#capacity;
    const { queue } = sample;
    this.#queue.show([
      { name: 'waiting for room', now: queue.waiting },
      { name: 'incoming', now: queue.incoming + queue.batching, max: incoming },
      { name: 'batched', now: queue.processing, max: processing },
      { name: 'before a retry', now: queue.retrying },
      { name: 'calls', now: queue.in_flight, max: calls },
    ]);
    const kinds = Object.entries(sample.memory).sort((a, b) => b[1] - a[1]);
    this.#memory.show(kinds.map(([kind, held]) => ({ kind, held, max: sample.memory_limit })));
  }

  /** @param {any} sample */
  #drawTiles(sample) {
    const { jobs, queue, memory, process } = sample;
    const used = Object.values(memory).reduce((sum, held) => sum + held, 0);
    showFacts(
      byTestId('tiles'),
      [
        ['Tokens a second', rate(sample.tokens_per_s)],
        ['Running', number(jobs.running)],
        ['Queued', number(jobs.queued)],
        ['Calls', number(queue.in_flight), ` of ${number(this.#capacity.calls)}`],
        ['Open streams', number(sample.open_streams)],
        ['Failed jobs kept', number(jobs.failed)],
        ['Content held', bytes(used), ` of ${bytes(sample.memory_limit)}`],
        ['Process', `${number(process.cpu * 100)} %`, ` CPU, ${number(process.rss_mib)} MiB`],
      ],
      'tile',
    );
  }

  #drawRates() {
    if (!this.#isShown) return;
    const column = (/** @type {number} */ i) => this.#rates.map((point) => point[i]);
    this.#charts.tokens.show([column(0), column(1)]);
    this.#charts.jobs.show([column(0), column(2), column(3), column(4)]);
  }

  #drawLatency() {
    if (!this.#isShown) return;
    const group = this.#groups.get(this.#select.value) ?? [...this.#groups.values()][0];
    const points = [...(group?.points.values() ?? [])].sort((a, b) => Number(a[0]) - Number(b[0]));
    const columns = (/** @type {number} */ first) =>
      [0, first, first + 1, first + 2].map((i) => points.map((point) => point[i]));
    this.#charts.first.show(columns(FIRST_TOKEN));
    this.#charts.token.show(columns(PER_TOKEN));
  }

  /** @param {any} state */
  state({ summary, upstreams, cluster }) {
    this.#latency.show(summary);
    byTestId('upstreams-card').hidden = upstreams.length === 0;
    this.#upstreams.show(upstreams);
    byTestId('cluster-card').hidden = cluster === null;
    const members = cluster?.members ?? [];
    this.#cluster.show(
      members.map((/** @type {string} */ name) => ({ name, isSelf: name === cluster.process })),
    );
  }
}

/**
 * @param {string} name
 * @param {number} value
 * @param {number | undefined} max undefined: none
 */
function gauge(name, value, max) {
  if (max === undefined || max === 0) return null;
  const share = `${number((value / max) * 100, 1)} %`;
  return h('meter', {
    ...{ min: '0', max: String(max), value: String(value), high: String(max * 0.8) },
    'aria-label': `${name}: ${share}`,
    title: share,
  });
}
