/** Types of a hub's inputs and outputs. This file has types only. */

/**
 * Token counts. `total_tokens` defaults to the sum of the other two; `estimated`: the
 * gateway has counted. Further members come from the upstream.
 * @typedef {{prompt_tokens: number, completion_tokens: number, total_tokens?: number,
 *   estimated?: boolean, [name: string]: unknown}} Usage
 */

/**
 * An entry of a log. Entries of one tool call are adjacent, the call first.
 * @typedef {object} EntryInput
 * @property {'text' | 'reasoning' | 'refusal' | 'tool_call' | 'tool_arguments' | 'extra'} kind
 * @property {string} text for `tool_call` the call's id; for `extra` a JSON object
 * @property {string} [aux] for `text` its logprobs as JSON; for `tool_call` the name of the function
 */

/**
 * The ending of a job.
 * @typedef {object} TerminalInput
 * @property {'complete' | 'error' | 'cancelled'} type
 * @property {string} [reason] for complete (`stop`, `length`, `tool_calls`, `content_filter`) and
 *   cancelled
 * @property {string} [rawReason] of complete: the upstream's own finish reason
 * @property {{code: string, message: string, type: string}} [error] of error
 * @property {Usage} [usage] default: the hub's count
 * @property {object} [details] further members of the terminal event, in addition to its id, cause and metrics
 */

/**
 * The kind of work that a log belongs to. It determines the names of the id and the events: `workflow_id` and
 * `workflow_complete`.
 * @typedef {'job' | 'workflow' | 'crawl'} JobKind
 */

/**
 * A second log that receives a copy of each entry of a job, as an event of the entry's type.
 * @typedef {object} CopyTarget
 * @property {number} handle of that log; the job must be created `near` it
 * @property {object} members of the copied events, in addition to those of the entry; at least one
 */

/** @typedef {{id: string, type: 'function', function: {name: string, arguments: string}}} ToolCall */

/**
 * @typedef {{kind: 'text', text: string, logprobs?: unknown[]}
 *   | {kind: 'reasoning' | 'refusal', text: string}
 *   | {kind: 'tool_call', id: string, name: string, arguments: string}
 *   | {kind: 'extra', delta: Record<string, unknown>}} AnswerItem
 */

/**
 * @typedef {object} JobState
 * @property {'queued' | 'running' | 'completed' | 'failed' | 'cancelled'} status
 * @property {number} attempt
 * @property {string} last_event_id
 * @property {Usage} usage with `total_tokens`
 * @property {{queue_ms: number, ttft_ms: number | null, duration_ms: number, tokens: number,
 *   tokens_per_second: number}} metrics
 * @property {string} [text] the retained text of this attempt
 * @property {string} [reasoning] with `text`: complete, if there is any; like the two below
 * @property {string} [refusal]
 * @property {ToolCall[]} [tool_calls]
 * @property {AnswerItem[]} [items] the entries in order, adjacent ones of one kind merged
 * @property {{model?: string, system_fingerprint?: string, service_tier?: string}} [head] from the
 *   upstream
 * @property {string} [raw_reason] the upstream's own finish reason
 * @property {string} [stop_sequence] the stop string that ended the text, if known
 * @property {number} log_bytes of the retained entries: their text, their other data, their offsets
 * @property {number} text_bytes of the retained text
 * @property {boolean} [text_truncated] the log's byte cap has dropped the beginning of `text`
 * @property {{code: string, message: string, type: string}} [error]
 * @property {string} [reason]
 */

/**
 * A job of an earlier process, as stored.
 * @typedef {object} RestoredJob
 * @property {string} jobId
 * @property {number} record its number in the store
 * @property {number} promptTokens
 * @property {number} attempt
 * @property {number | null} startedNs since its creation, like the two below; null: not reached
 * @property {number | null} firstTokenNs
 * @property {number | null} endedNs
 * @property {number} skippedIds ids skipped before its terminal event's
 * @property {number} ageMs since its creation
 * @property {number} retentionLeftMs of a finished job
 * @property {JobState['head']} [head]
 * @property {string} retryMembers of its last attempt, as JSON; empty: none
 * @property {boolean} whole see its options
 * @property {Omit<TerminalInput, 'details'> & {details: string, usageJson?: string}} [terminal] of a
 *   finished job; `details` is JSON, and so is `usageJson`, the text of `usage`
 * @property {any[][]} tokens rows of its tokens
 */

/**
 * A job in a stream.
 * @typedef {object} Member
 * @property {number} handle
 * @property {string} cursor the last event id received; empty: none
 * @property {string} [jobId] required with `fanIn`
 */

/**
 * The protocol of a subscriber's frames.
 * @typedef {object} FaceOptions
 * @property {'chat' | 'completions' | 'responses' | 'ui' | 'messages'} dialect
 * @property {string} id of the answer: `chatcmpl-T`, `cmpl-T`, `resp_T`, `msg_T`
 * @property {string} [tail] T; ids of output items end in `_T_k`
 * @property {string} model as requested
 * @property {number} created Unix time in seconds
 * @property {string} [envelope] JSON. `responses`: the members of the response object that do not
 *   vary; `messages`: further members of the message in `message_start`. `ui`: frames that follow the
 *   first one
 * @property {number} [choices] of `chat` and `completions`; default 1
 * @property {number} [choicesPerPrompt] of `completions`: choices that share a call, the first of which has
 *   its usage; default all
 * @property {boolean} [includeUsage] of `chat` and `completions`; default false
 * @property {string} [reasoningField] of `chat`: `reasoning_content` (default), `reasoning`, `both`
 * @property {boolean} [reasoningSummary] of `responses`: reasoning is sent as its summary; default
 *   false
 * @property {boolean} [background] of `responses`: the response begins as queued; default false
 * @property {number} [after] number of frames to skip at the beginning; default 0. Ignored for several
 *   choices, whose frames have no ids
 */

/**
 * The receiver of a subscriber's batches. One batch is in flight at a time: the next one follows
 * `subscriber.acknowledge()`.
 * @typedef {object} SubscriberHandler
 * @property {(finished: boolean) => void} onOpen called first; `finished`: every cursor was at the
 *   end of its job, and no other call follows
 * @property {(frames: Buffer) => void} [onFrames] receives SSE frames; the first after a first
 *   `acknowledge()`, none after a successful `attachSocket()`
 * @property {(frames: string) => void} [onWhole] replaces all other calls if the jobs have ended
 *   with short logs: receives all frames. Without it, and with a face, these logs are sent like others
 * @property {(events: string[]) => void} [onEvents] receives id, type, JSON, id, type, JSON, ... in
 *   instead of frames, in a handler without `onFrames`
 * @property {(reason: EndReason) => void} onEnd called last
 */

/**
 * A log that another process writes to Redis.
 * @typedef {object} ReplicaOptions
 * @property {string} jobId of the job, or of one of its further choices
 * @property {number} leaseMs longest wait of a cursor ahead of the log, counted while Redis answers
 * @property {JobKind} [kind] default `job`
 * @property {boolean} [whole] see the options of a job; default false
 * @property {number} [promptTokens] see the options of a job; default 0
 * @property {number} [ageMs] since the creation of the job; default 0
 * @property {boolean} [announce] the hub emits `begun` at its first entry; default false
 */

/**
 * An adopted job: this process appends after `last_event_id`.
 * @typedef {{attempt: number, last_event_id: string}} AdoptedJob
 */

/**
 * Figures of the replication over Redis. `catch_ups`: number of reads of logs, by cause.
 * @typedef {{followed: number, unsent_tokens: number, catch_ups: {open: number, hole: number,
 *   silence: number, reconnected: number, asked: number}}} ReplicationFigures
 */

/**
 * `finished`: every terminal event was consumed. `stalled`: no progress for the stall limit.
 * `purged`: the jobs were purged. `gone`: the socket died. `closed`: the hub was closed. `fenced`:
 * another process owns the job. `unreachable`: the log could not be read from Redis. After the last
 * two the client may reconnect.
 * @typedef {'finished' | 'stalled' | 'purged' | 'gone' | 'closed' | 'fenced' | 'unreachable'} EndReason
 */

export {};
