import OpenAI from 'openai';

/** The unmodified OpenAI client of a gateway. @param {{url: string}} gateway */
export const openaiOf = ({ url }) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
