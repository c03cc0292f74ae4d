/**
 * `sluice/conformance`: a black-box test suite for servers of resumable streams. It needs no gateway and loads no
 * native code.
 */
import { ADAPTERS } from './adapters/index.js';
import { RULES } from './rules/index.js';

export { runConformance } from './run.js';
export { startFixtureUpstream, FIXTURE_MODEL } from './fixtures/upstream.js';
export { resultText, summaryText, toJunit, toText } from './report.js';

/**
 * @typedef {import('./options.js').ConformanceOptions} ConformanceOptions
 * @typedef {import('./results.js').Report} Report
 * @typedef {import('./results.js').RuleResult} RuleResult
 * @typedef {import('./sources.js').Quote} Quote
 * @typedef {import('./fixtures/upstream.js').FixtureUpstream} FixtureUpstream
 */

/**
 * The dialects, by the names for `adapter`.
 * @type {readonly {name: string, title: string}[]}
 */
export const adapters = Object.freeze(
  ADAPTERS.map(({ name, title }) => Object.freeze({ name, title })),
);

/**
 * The rules, in the order of execution.
 * @type {readonly {id: string, title: string, source: Quote}[]}
 */
export const rules = Object.freeze(
  RULES.map(({ id, title, source }) => Object.freeze({ id, title, source })),
);
