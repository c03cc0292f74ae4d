/** What a rule knows of the server and the fixture. Types only. */

/**
 * What the suite must be told of the server; a rule that needs a missing one is skipped.
 * @typedef {object} Facts
 * @property {number} [heartbeatMs] silence on a stream after which the server sends a byte
 * @property {number} [stallMs] time without progress after which it disconnects a reader
 * @property {number} [logLimitBytes] text that it keeps for a job
 * @property {number} [concurrency] calls of the model that it makes at once
 * @property {() => unknown} [drain] makes it shut down gracefully; its rule runs last
 */

/**
 * @typedef {object} Settings
 * @property {string} url
 * @property {import('./types.js').Adapter} adapter
 * @property {Record<string, string>} headers
 * @property {import('./fixtures/upstream.js').FixtureUpstream | undefined} upstream
 * @property {string | undefined} echoModel
 * @property {string | undefined} model
 * @property {number} timeoutMs
 * @property {Facts} facts
 */

export {};
