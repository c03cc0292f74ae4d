/** The interface of a store of conversations. This file has types only. */

/** @typedef {import('./repository.js').Head} Head */
/** @typedef {import('./repository.js').Settings} Settings */
/** @typedef {import('./messages.js').StoredMessage} StoredMessage */

/**
 * A conversation with its messages. `asked`: the messages of the running turn.
 * @typedef {{head: Head, messages: StoredMessage[], asked?: StoredMessage[]}} Whole
 */

/**
 * The conversations of a gateway: in this process or in Redis. A client that has received a job's
 * terminal event finds its turn. All methods throw HttpErrors.
 * @typedef {object} ConversationStore
 * @property {(principal: string, what: Settings & {messages: import('./requests.js').Messages}) =>
 *   Promise<Whole>} create
 * @property {(principal: string, id: string, settings: Partial<Settings>, at?: number) =>
 *   Promise<Whole>} fork copies the first `at` messages, default all
 * @property {(principal: string, id: string) => Promise<Whole | undefined>} read
 * @property {(principal: string, page: {limit: number, after?: string}) =>
 *   Promise<{heads: Head[], hasMore: boolean}>} list latest activity first
 * @property {(options: {limit: number, scanMax: number}) =>
 *   Promise<{heads: {owner: string, head: Head}[], truncated: boolean}>} recent the latest ones of all
 *   principals. `truncated`: only `scanMax` were read, and later ones may be missing
 * @property {(principal: string, id: string) => Promise<void>} remove deletes a conversation, and cancels the job
 *   of its running turn
 */

export {};
