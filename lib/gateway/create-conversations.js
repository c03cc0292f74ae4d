/** A gateway's conversations, put together. Main thread. */
import { ConversationBook } from '../services/conversations/repository.js';
import { Conversations } from '../services/conversations/service.js';
import { Turns } from '../services/conversations/turns.js';
import { areaLimits } from '../services/conversations/options.js';

/**
 * @param {object} gateway's own
 * @param {import('../primitives/kv/namespaces.js').KvSpaces} gateway.spaces
 * @param {import('../services/conversations/options.js').ConversationLimits} gateway.limits
 * @param {() => number} gateway.unixMs
 * @param {import('../jobs/execution/lifecycle.js').JobLife} gateway.life
 * @param {import('../internal/util/logger.js').Logger} gateway.log
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
  /** @param {import('../jobs/job-table.js').JobRecord} record */
  const cancel = (record) => life.cancel(record, 'client_request');
  return { turns, conversations: new Conversations({ book, turns, limits, jobs, store, cancel }) };
}
