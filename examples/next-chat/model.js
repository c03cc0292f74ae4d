/** The model: an OpenAI-compatible server of the environment, else a small generator. */
import { setTimeout as sleep } from 'node:timers/promises';
import { providers } from 'sluice';

const { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: apiKey, MODEL } = process.env;
let answers = 0;

/** A word every 50 ms. A question about the time calls the tool of the page. */
async function* clerk({ messages, body }, { signal }) {
  const last = messages.at(-1);
  const asked = typeof last.content === 'string' ? last.content : last.content[0].text;
  if (last.role === 'user' && /\btime\b/i.test(asked) && body?.tools) {
    yield { reasoning: 'The page has a clock.' };
    yield { tool_call: { name: 'get_time', arguments: { zone: 'UTC' } } };
    return { reason: 'tool_calls' };
  }
  answers += 1;
  const start = last.role === 'tool' ? `The tool says ${asked}` : `You said: ${asked}`;
  for (const word of `${start} — this is answer ${answers}, of a clerk who is in no hurry.`.split(
    /(?= )/,
  )) {
    await sleep(50, undefined, { signal });
    yield word;
  }
  return { reason: 'stop' };
}

export const model = baseUrl ? providers.openai({ baseUrl, apiKey, model: MODEL }) : clerk;
