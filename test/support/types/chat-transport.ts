import type { ChatTransport, UIMessage } from 'ai';
import { SluiceChatTransport } from '../../../web/ai.js';

const own = new SluiceChatTransport({ api: '/v1/ui/chat', headers: () => ({ a: 'b' }) });
export const transport: ChatTransport<UIMessage> = own;
export const typed: ChatTransport<UIMessage<{ a: number }, { x: { y: string } }>> = own;
const stream = await own.reconnectToStream({ chatId: 'c' });
for await (const chunk of stream ?? []) {
  if (chunk.type === 'text-delta') console.log(chunk.delta);
  // @ts-expect-error only a delta has this member
  else console.log(chunk.delta.length);
}
// @ts-expect-error an unknown option
new SluiceChatTransport({ url: '/' });
