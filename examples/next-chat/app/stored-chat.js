import { SluiceChatTransport } from 'sluice/ai';

/** @param {string} id */
export const load = (id) => JSON.parse(localStorage.getItem(`chat-${id}`) ?? '[]');

/** @param {string} id @param {object[]} messages */
export const save = (id, messages) => localStorage.setItem(`chat-${id}`, JSON.stringify(messages));

/**
 * Stores the messages of each request. After a reload in the middle, the answer is replayed from its
 * start onto these.
 */
export class StoringTransport extends SluiceChatTransport {
  sendMessages(options) {
    save(options.chatId, options.messages);
    return super.sendMessages(options);
  }
}
