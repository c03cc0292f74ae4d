/**
 * The providers included in Sluice. A plain `async function*` is also a provider: see function.js.
 */
import { anthropic } from './anthropic/provider.js';
import { demo } from './demo.js';
import { llama } from './llama/provider.js';
import { openai } from './openai/provider.js';
import { route } from './route/provider.js';

export const providers = Object.freeze({ anthropic, demo, openai, llama, route });
