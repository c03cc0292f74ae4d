/** Requests of the suite, and the events of the answers, in terms common to all dialects. Types only. */

/**
 * One request of the suite.
 * @typedef {object} RequestParts
 * @property {string} [method] default GET
 * @property {string} path absolute, below the origin of the server
 * @property {Record<string, string>} [headers]
 * @property {string} [body]
 * @property {string} [job] id that the suite has chosen for the job
 */

/**
 * One item decoded from a block of a stream, in terms common to all dialects.
 * @typedef {object} Item
 * @property {'text' | 'terminal' | 'gap' | 'other'} kind `gap`: the server announces that a part is missing
 * @property {string} [text] of the kind `text`
 * @property {'complete' | 'error' | 'cancelled'} [outcome] of the kind `terminal`
 * @property {string} [cursor] the cursor to resume with after this item
 * @property {string} [job] id of the job, in streams of several jobs
 * @property {string} [raw] the data of the block
 */

export {};
