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

/** @param {any[]} parts */
const callsOf = (parts) => parts.flatMap(({ toolCallId }) => toolCallId ?? []);

/**
 * A resumed answer has the steps of its own request. Puts those of earlier requests, as the call of a
 * tool and its output, back before it.
 * @param {string} id
 * @param {any[]} messages
 */
export function restoreSteps(id, messages) {
  const stored = new Map(load(id).map((message) => [message.id, message.parts]));
  return messages.map((message) => {
    const before = stored.get(message.id) ?? [];
    const calls = callsOf(message.parts);
    const isMissing = callsOf(before).some((call) => !calls.includes(call));
    return isMissing ? { ...message, parts: [...before, ...message.parts] } : message;
  });
}
