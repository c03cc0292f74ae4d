/** Common types of adapters, fixtures and rules. Types only. */

/** @typedef {import('./wire/types.js').RequestParts} RequestParts */
/** @typedef {import('./wire/types.js').Item} Item */

/**
 * A job of the server under test.
 * @typedef {object} Job
 * @property {string} id
 * @property {string} [path] of its stream, if the server returns it
 * @property {import('./wire/stream.js').Stream} [first] the stream that answered the submission
 */

/**
 * @typedef {object} Submission
 * @property {string} prompt
 * @property {string} [model]
 * @property {string} [key] an idempotency key
 * @property {'continue' | 'cancel'} [policy] once the last reader has left
 * @property {number} [graceMs] of the policy `cancel`
 */

/**
 * Features of a dialect. A rule that needs another one is skipped.
 *
 * - `submit`: the suite starts jobs by a request to the server
 * - `resume`: a second connection can read a running job
 * - `cursor`: such a connection can specify its start position
 * - `replay`: an ended job can be read again
 * - `fan-out`: several connections read one job at once
 * - `stable`: an event has the same data in every reading
 * - `query-cursor`: the cursor can be part of the URL
 * - `gap`: an event announces that a replay is incomplete
 * - `end-status`: a cursor at the end gets a special status (`endStatus`)
 * - `cancel`, `idempotency`, `fan-in`, `state`: there are requests for these
 * - `cancel-keeps`: a cancelled job can still be read, if `replay` is supported
 * - `errors`: a failed job has a distinct event
 * - `cancelled-event`: a cancelled job has a distinct event
 * - `policy-continue`, `policy-cancel`: a submission selects the behaviour after its readers disconnect
 * - `runs-on`: a job continues without readers
 * - `producer`: the adapter itself writes the data for readers
 * @typedef {'submit' | 'resume' | 'cursor' | 'replay' | 'fan-out' | 'stable' | 'query-cursor' | 'gap' | 'end-status'
 *   | 'cancel' | 'cancel-keeps' | 'idempotency' | 'fan-in' | 'state' | 'errors' | 'cancelled-event'
 *   | 'policy-continue' | 'policy-cancel' | 'runs-on' | 'producer'} Feature
 */

/**
 * Maps the suite to a dialect.
 * @typedef {object} Adapter
 * @property {string} name
 * @property {string} title
 * @property {string} defaultPath of a URL without a path
 * @property {readonly Feature[]} features
 * @property {number} [endStatus] the answer to a cursor at the end
 * @property {'replay' | 'refuse' | 'either'} [badCursor] the answer to a cursor that the server cannot know
 * @property {number} [unknownStatus] the answer to a read of an unknown job; default 404
 * @property {(base: string, submission: Submission) => RequestParts} submit
 * @property {(response: import('./wire/stream.js').Stream) => Job | undefined} accepted undefined: not yet known
 * @property {(base: string, job: Job, cursor?: string, inQuery?: boolean) => RequestParts} read
 * @property {(job?: Job, cursor?: string) => (block: import('./wire/blocks.js').Block) => Item[]} decoder of one
 *   connection
 * @property {(base: string, job: Job) => RequestParts} [cancel]
 * @property {(base: string, job: Job) => RequestParts} [state]
 * @property {(body: any) => {outcome: Item['outcome'], text?: string}} [readState] outcome undefined: it is running
 * @property {(base: string, jobs: Job[], cursor?: string) => RequestParts} [fanIn]
 * @property {() => (block: import('./wire/blocks.js').Block) => Item[]} [fanInDecoder]
 * @property {(job: Job) => string} [beyond] a well-formed cursor after all of a job's events
 * @property {(call: (parts: RequestParts) => Promise<import('./wire/stream.js').Stream>, base: string) => Source}
 *   [source] of the feature `producer`
 */

/**
 * Features of a fixture: `text`: the text of an answer is known; `hand`: it is produced step by step;
 * `bytes`: the bytes between the model and the server are chosen; `watch`: calls and their ends can be observed.
 * @typedef {'text' | 'hand' | 'bytes' | 'watch'} Control
 */

/**
 * Produces the answer of one job.
 * @typedef {object} Source
 * @property {string} prompt
 * @property {string} [model]
 * @property {string} [text] of the whole answer, if it is known in advance
 * @property {Job} [job] of the feature `producer`
 * @property {() => Promise<void>} started resolves when the server has requested the answer
 * @property {(text: string) => Promise<void>} write
 * @property {(bytes: Uint8Array | string) => Promise<void>} raw
 * @property {() => Promise<void>} end
 * @property {() => Promise<void>} fail aborts the answer
 * @property {() => Promise<void>} left resolves when the server has closed its call
 * @property {() => boolean} hasLeft
 * @property {number} calls
 * @property {() => void} close
 */

export {};
