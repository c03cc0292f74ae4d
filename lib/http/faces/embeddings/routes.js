/** `/v1/embeddings`, for OpenAI's clients. */
import { answerFor } from '../failure.js';
import { departureOf } from '../../departure.js';
import { rateLimitHeaders } from '../../../jobs/rate-limits/headers.js';
import { sendJson, setHeaders } from '../../respond.js';

/**
 * @param {object} deps
 * @param {import('../../../services/embeddings/service.js').Embeddings} deps.embeddings
 * @returns {import('../../router.js').Routes}
 */
export function embeddingRoutes({ embeddings }) {
  /** @type {import('../../router.js').Handle} */
  async function create(_req, res, { access, body }) {
    const startedAt = performance.now();
    const { signal } = departureOf(res);
    try {
      const { answer, entries } = await embeddings.create(body, { access, signal });
      setHeaders(res, rateLimitHeaders(entries));
      res.setHeader('openai-processing-ms', String(Math.round(performance.now() - startedAt)));
      sendJson(res, 200, answer);
    } catch (/** @type {any} */ error) {
      if (signal.aborted) return;
      // An error of the provider: refusals of the gateway have a status.
      if (error?.wireCode === undefined || error.status !== undefined) throw error;
      throw answerFor({ ...error, code: error.wireCode, message: error.message }, error);
    }
  }

  return { '/v1/embeddings': { POST: { handle: create, body: 'exact-json' } } };
}
