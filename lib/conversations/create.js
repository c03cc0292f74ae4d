/** A gateway's conversations, put together. Main thread. */
import { ConversationBook } from './book.js';
import { Conversations } from './conversations.js';
import { Turns } from './turns.js';
import { areaLimits } from './options.js';

/**
 * @param {object} gateway's own
 * @param {import('../kv/spaces.js').KvSpaces} gateway.spaces
 * @param {import('./options.js').ConversationLimits} gateway.limits
 * @param {() => number} gateway.unixMs
 * @param {import('../job-life.js').JobLife} gateway.life
 * @param {import('../log.js').Logger} gateway.log
 * @returns {{conversations: Conversations, turns: Turns}} whoever calls this closes `turns`
 */
export function createConversations({ spaces, limits, unixMs, life, log }) {
  const { hub, jobs, store } = life;
  const book = new ConversationBook(
    spaces.area('conversations', areaLimits(limits)),
    limits,
    unixMs,
  );
  const turns = new Turns({ book, limits, hub, store, told: () => life.told(), log });
  /** @param {import('../job-table.js').JobRecord} record */
  const cancel = (record) => life.cancel(record, 'client_request');
  return { turns, conversations: new Conversations({ book, turns, limits, jobs, store, cancel }) };
}
