/** The metrics of the semantic conventions for generative AI, with the buckets that they recommend. */

/** @typedef {import('./api.js').Api} Api */
/** @typedef {import('@opentelemetry/api').Attributes} Attributes */
/** @typedef {import('@opentelemetry/api').Histogram} Histogram */

const DURATIONS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const TOKENS = Array.from({ length: 14 }, (_, power) => 4 ** power);
const FIRST_TOKEN = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];
const OUTPUT_TOKEN = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];

/** By name: unit, buckets, description. */
const HISTOGRAMS = /** @type {const} */ ({
  'gen_ai.client.token.usage': ['{token}', TOKENS, 'Number of input and output tokens used.'],
  'gen_ai.client.operation.duration': ['s', DURATIONS, 'GenAI operation duration.'],
  'gen_ai.server.request.duration': ['s', DURATIONS, 'From the admission of a job to its end.'],
  'gen_ai.server.time_to_first_token': [
    's',
    FIRST_TOKEN,
    'From the admission of a completed job to its first token.',
  ],
  'gen_ai.server.time_per_output_token': [
    's',
    OUTPUT_TOKEN,
    'Time per output token of a completed job after the first one.',
  ],
});

/** @typedef {keyof typeof HISTOGRAMS} HistogramName */

/** The histograms of one gateway, created on first use. Main thread. */
export class Instruments {
  #version;
  /** @type {import('@opentelemetry/api').MeterProvider | undefined} */
  #provider;
  /** @type {Map<HistogramName, Histogram>} */
  #histograms = new Map();

  /** @param {string} version of the package */
  constructor(version) {
    this.#version = version;
  }

  /**
   * @param {Api} api
   * @param {HistogramName} name
   * @param {number} value
   * @param {Attributes} attributes
   */
  record(api, name, value, attributes) {
    const provider = api.metrics.getMeterProvider();
    // The application may register its SDK after the first record.
    if (provider !== this.#provider) this.#histograms.clear();
    this.#provider = provider;
    let histogram = this.#histograms.get(name);
    if (histogram === undefined) {
      const [unit, boundaries, description] = HISTOGRAMS[name];
      histogram = provider.getMeter('sluice', this.#version).createHistogram(name, {
        ...{ unit, description },
        advice: { explicitBucketBoundaries: [...boundaries] },
      });
      this.#histograms.set(name, histogram);
    }
    histogram.record(value, attributes);
  }
}
