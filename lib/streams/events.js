/**
 * The types of the events of streams, as yielded by `gateway.stream()` and sent over HTTP: unions
 * discriminated by `type`. Types only.
 */

/** @typedef {{code: string, message: string, type: string}} EventError */

/**
 * @typedef {object} EventUsage counts of the upstream, with its further members
 * @property {number} prompt_tokens
 * @property {number} completion_tokens
 * @property {number} [total_tokens]
 * @property {boolean} [estimated] whether the gateway has counted because the upstream omitted a count
 */

/**
 * @typedef {object} EventMetrics
 * @property {number | null} queue_ms from the accepted submission to the call
 * @property {number | null} ttft_ms from the accepted submission to the first token; null: there were no tokens
 * @property {number | null} duration_ms
 * @property {number} tokens
 * @property {number | null} tokens_per_second from the call to the end
 */

/** @typedef {{duration_ms: number, events: number}} OperationMetrics */

/**
 * An event with an id, `<attempt>-<seq>`.
 * @template {string} Type
 * @template {object} Data
 * @typedef {{id: string, type: Type, data: Data}} LoggedEvent
 */

/**
 * @template {string} Type
 * @template {object} Data besides the id of the job
 * @typedef {LoggedEvent<Type, {job_id: string} & Data>} OfJob
 */

/**
 * The part of the requested events that is missing; `requested` is null without a cursor.
 * @template {object} Ids
 * @typedef {{id: undefined, type: 'gap', data: Ids & {requested: string | null,
 *   earliest: string | null, latest: string | null}}} GapEvent
 */

/**
 * An event of a job. The terminal ones are `job_complete`, `job_error` and `job_cancelled`; after
 * `job_retry` the answer begins again. A call of a tool has its id and name on its first event.
 * @typedef {OfJob<'token', {token: string, logprobs?: unknown}>
 *   | OfJob<'job_retry', {attempt: number, upstream?: string}>
 *   | OfJob<'job_complete', {reason: 'stop' | 'length' | 'tool_calls' | 'content_filter',
 *       stop_sequence?: string, usage: EventUsage, metrics: EventMetrics}>
 *   | OfJob<'job_error', {error: EventError, metrics: EventMetrics}>
 *   | OfJob<'job_cancelled', {reason: 'client_request' | 'client_disconnected' | 'shutdown',
 *       metrics: EventMetrics}>
 *   | OfJob<'reasoning', {reasoning: string}>
 *   | OfJob<'refusal', {refusal: string}>
 *   | OfJob<'tool_call', {index: number, id?: string, name?: string, arguments: string}>
 *   | OfJob<'extra', {delta: Record<string, unknown>}>
 *   | GapEvent<{job_id: string}>} StreamEvent
 */

/**
 * @template {string} Type
 * @template {object} Data besides the ids
 * @typedef {LoggedEvent<Type, {workflow_id: string} & Data>} OfWorkflow
 */

/**
 * An event of a workflow; its terminal ones are `workflow_complete`, `workflow_failed` and
 * `workflow_cancelled`.
 * @typedef {OfWorkflow<'node_started', {node: string, attempt: number}>
 *   | OfWorkflow<'token', {node: string, token: string, logprobs?: unknown, item?: number}>
 *   | OfWorkflow<'reasoning', {node: string, reasoning: string, item?: number}>
 *   | OfWorkflow<'refusal', {node: string, refusal: string, item?: number}>
 *   | OfWorkflow<'tool_call', {node: string, index: number, id?: string, name?: string, arguments: string,
 *       item?: number}>
 *   | OfWorkflow<'extra', {node: string, delta: Record<string, unknown>, item?: number}>
 *   | OfWorkflow<'node_progress', {node: string, item: number, done: number, total: number}>
 *   | OfWorkflow<'page' | 'page_skipped' | 'page_error', {node: string, url: string}>
 *   | OfWorkflow<'node_retry', {node: string, attempt: number, delay_ms: number, error: EventError,
 *       items?: number[]}>
 *   | OfWorkflow<'node_complete', {node: string, attempts: number, usage?: EventUsage, text?: string,
 *       text_omitted?: boolean, items?: number}>
 *   | OfWorkflow<'node_failed', {node: string, attempts: number, error: EventError}>
 *   | OfWorkflow<'node_skipped', {node: string, reason: string}>
 *   | OfWorkflow<'workflow_complete', {nodes: Record<string, number>, usage: EventUsage,
 *       metrics: OperationMetrics}>
 *   | OfWorkflow<'workflow_failed', {error: EventError, failed?: string[], nodes?: Record<string, number>,
 *       usage?: EventUsage, metrics: OperationMetrics}>
 *   | OfWorkflow<'workflow_cancelled', {reason: string, metrics: OperationMetrics}>
 *   | OfWorkflow<'workflow_retry', {attempt: number}>
 *   | GapEvent<{workflow_id: string}>} WorkflowEvent
 */

/**
 * @template {string} Type
 * @template {object} Data besides the id of the crawl
 * @typedef {LoggedEvent<Type, {crawl_id: string} & Data>} OfCrawl
 */

/**
 * An event of a crawl; its terminal ones are `crawl_complete`, `crawl_failed` and `crawl_cancelled`.
 * @typedef {OfCrawl<'page', {url: string, status: number, title: string, text: string, depth: number,
 *       redirected_from?: string}>
 *   | OfCrawl<'page_skipped', {url: string, reason: string, depth: number, content_type?: string,
 *       location?: string}>
 *   | OfCrawl<'page_error', {url: string, error: {code: string, message: string, status?: number},
 *       depth: number}>
 *   | OfCrawl<'crawl_complete', {reason: 'complete' | 'limit', pages: number, skipped: number,
 *       errors: number, requests: number, metrics: OperationMetrics}>
 *   | OfCrawl<'crawl_failed', {error: EventError, metrics: OperationMetrics}>
 *   | OfCrawl<'crawl_cancelled', {reason: string, metrics: OperationMetrics}>
 *   | GapEvent<{crawl_id: string}>} CrawlEvent
 */

/** @typedef {StreamEvent | WorkflowEvent | CrawlEvent} AnyStreamEvent */

export {};
