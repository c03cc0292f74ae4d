/** The model: an OpenAI-compatible server of the environment, else a small generator. */
import { setTimeout as sleep } from 'node:timers/promises';
import { providers } from 'sluice';

const { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: apiKey, MODEL } = process.env;

/** Repeats the prompt, a word every 50 ms. */
async function* parrot({ prompt }, { signal }) {
  yield { reasoning: 'Repeating is enough.' };
  for (const word of `You said: ${prompt} — and that is all there is to say.`.split(/(?= )/)) {
    await sleep(50, undefined, { signal });
    yield word;
  }
}

export const model = baseUrl ? providers.openai({ baseUrl, apiKey, model: MODEL }) : parrot;
