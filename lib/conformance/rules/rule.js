/** The type of a rule. Types only. */

/**
 * @typedef {import('../sources.js').Quote} Quote
 */

/**
 * One rule: a requirement for servers, its source, and the test.
 * @typedef {object} Rule
 * @property {string} id `GROUP/NAME`
 * @property {string} title
 * @property {Quote} source
 * @property {Record<string, Quote>} [sources] by the name of an adapter, if its dialect has its own source
 * @property {readonly import('../types.js').Feature[]} [features] that the dialect must have
 * @property {import('../types.js').Control} [control] that the fixture must have
 * @property {readonly (keyof import('../settings.js').Facts)[]} [facts] options about the server that must be given
 * @property {(context: import('../context.js').Context) => Promise<void>} run throws a `Failure` or a `Skip`
 */

export {};
