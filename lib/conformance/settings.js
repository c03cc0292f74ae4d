/** Facts about the server and the fixture for rules. Types only. */

/**
 * Facts about the server, given as options; a rule that needs a missing fact is skipped.
 * @typedef {object} Facts
 * @property {number} [heartbeatMs] silence on a stream after which the server sends a byte
 * @property {number} [stallMs] time without progress after which it disconnects a reader
 * @property {number} [logLimitBytes] size of the text that it keeps per job
 * @property {number} [concurrency] its maximum concurrent calls of the model
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
