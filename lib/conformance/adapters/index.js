/** The dialects that the suite knows. */
import { aiSdk } from './ai-sdk.js';
import { chat, messages } from './chat.js';
import { durableStreams } from './durable-streams.js';
import { llamaCpp } from './llama-cpp.js';
import { responses } from './responses.js';
import { sluice } from './sluice.js';

/** @type {readonly import('../types.js').Adapter[]} */
export const ADAPTERS = Object.freeze([
  ...[sluice, responses, chat, messages, aiSdk, llamaCpp, durableStreams],
]);
