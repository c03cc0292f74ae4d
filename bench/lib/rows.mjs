/**
 * The rows of the table: which setups, how many streams, at which rate, and the bar that Sluice
 * sets itself. `quick` replaces single members.
 */

/**
 * @typedef {object} Bar Sluice's figure has to be at most `atMost` times the peer's
 * @property {string} against name of a setup
 * @property {number} atMost
 */
/**
 * @typedef {object} Case one server under one load
 * @property {string} setup
 * @property {number} [streams] instead of the row's
 * @property {number} [intervalMs] instead of the row's
 * @property {string} [note] shown with the label
 */
/**
 * @typedef {object} Row
 * @property {string} id
 * @property {string} title
 * @property {'cpu' | 'delay'} shows the subject of the row
 * @property {number} streams
 * @property {number} intervalMs between two tokens of a stream
 * @property {number} [blockMs] how long the server's main thread is blocked in every second
 * @property {number} [rampMs] default 1000
 * @property {number} [measureMs] default 4000
 * @property {string} ours the setup that the others are compared with
 * @property {Case[]} cases
 * @property {Bar[]} [bars]
 * @property {number} [delayMsMax] a bar for the 99th percentile
 * @property {{streams?: number, cases?: Case[]}} quick
 */

/** @type {Row[]} */
export const rows = [
  {
    id: 'relay',
    title: 'relay: OpenAI-style upstream to SSE, 50 tokens/s a stream',
    shows: 'cpu',
    streams: 500,
    intervalMs: 20,
    ours: 'sluice-relay',
    cases: [
      { setup: 'sluice-relay' },
      { setup: 'undici' },
      { setup: 'openai-better-sse' },
      { setup: 'floor-relay' },
    ],
    bars: [
      { against: 'undici', atMost: 1 / 3 },
      { against: 'openai-better-sse', atMost: 1 / 8 },
      { against: 'floor-relay', atMost: 1.7 },
    ],
    quick: {
      streams: 200,
      cases: [{ setup: 'sluice-relay' }, { setup: 'undici' }, { setup: 'floor-relay' }],
    },
  },
  {
    id: 'generator',
    title: 'generator in the server to SSE, 50 tokens/s a stream',
    shows: 'cpu',
    streams: 1000,
    intervalMs: 20,
    ours: 'sluice-generator',
    cases: [
      { setup: 'sluice-generator' },
      { setup: 'node-http' },
      { setup: 'node-http-iterate' },
      { setup: 'better-sse' },
      { setup: 'fastapi', streams: 200 },
      { setup: 'floor-generator' },
    ],
    bars: [
      { against: 'node-http', atMost: 1 / 2 },
      { against: 'better-sse', atMost: 1 / 3.5 },
    ],
    quick: {
      streams: 300,
      cases: [{ setup: 'sluice-generator' }, { setup: 'node-http' }, { setup: 'floor-generator' }],
    },
  },
  {
    id: 'fan-out',
    title: 'fan-out: one stream of 50 tokens/s to many readers',
    shows: 'cpu',
    streams: 500,
    intervalMs: 20,
    ours: 'sluice-fan-out',
    cases: [{ setup: 'sluice-fan-out' }, { setup: 'node-http-fan-out' }, { setup: 'nchan' }],
    bars: [{ against: 'nchan', atMost: 1 }],
    quick: { streams: 200, cases: [{ setup: 'sluice-fan-out' }, { setup: 'nchan' }] },
  },
  {
    id: 'blocked',
    title: 'relay while the main thread is blocked 200 ms of every second',
    shows: 'delay',
    streams: 50,
    intervalMs: 20,
    blockMs: 200,
    ours: 'sluice-relay',
    cases: [{ setup: 'sluice-relay' }, { setup: 'undici' }, { setup: 'openai-better-sse' }],
    delayMsMax: 10,
    quick: { cases: [{ setup: 'sluice-relay' }, { setup: 'undici' }] },
  },
  {
    id: 'many',
    title: 'many open streams, 5 tokens/s each',
    shows: 'cpu',
    streams: 10_000,
    intervalMs: 200,
    rampMs: 6000,
    measureMs: 5000,
    ours: 'sluice-generator',
    cases: [
      { setup: 'sluice-generator', streams: 100, note: '100 streams' },
      { setup: 'sluice-generator', streams: 100, intervalMs: 2, note: '100 streams x 500/s' },
      { setup: 'sluice-generator' },
      { setup: 'sluice-relay' },
      { setup: 'node-http' },
      { setup: 'better-sse' },
    ],
    quick: {
      streams: 1000,
      cases: [
        { setup: 'sluice-generator', streams: 100, note: '100 streams' },
        { setup: 'sluice-generator' },
        { setup: 'sluice-relay' },
        { setup: 'node-http' },
      ],
    },
  },
];
