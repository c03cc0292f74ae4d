/** `/v1/jobs`: submit, read, list, cancel. */
import { isUtf8 } from 'node:buffer';
import express from 'express';
import { HttpError, jobNotFound } from '../http-errors.js';
import { checkListQuery } from '../schema.js';
import { kInternals } from '../symbols.js';
import { principalOf } from '../auth.js';

const kBodyBytesMax = 1024 * 1024;

/**
 * @param {import('../job-view.js').Job} job
 * @returns {object} as on the wire
 */
function wireJob({ id, createdAt, textTruncated, status, model, ...rest }) {
  return {
    job_id: id,
    status,
    model,
    created_at: createdAt,
    ...rest,
    ...(textTruncated && { text_truncated: true }),
  };
}

/**
 * @param {import('express').Request} req
 * @param {import('express').Response} _res
 * @param {import('express').NextFunction} next
 */
function requireJson(req, _res, next) {
  // `null`: no body at all, which the schema refuses in its own words.
  if (req.is(['application/json', '+json']) === false) {
    throw new HttpError(415, {
      code: 'unsupported_media_type',
      message: 'The body must be application/json.',
    });
  }
  next();
}

/**
 * Node would put a replacement character where bytes are no UTF-8: another prompt than was meant.
 * @param {unknown} _req
 * @param {unknown} _res
 * @param {Buffer} body
 * @param {string} encoding
 */
function requireUtf8(_req, _res, body, encoding) {
  if (encoding !== 'utf-8' || isUtf8(body)) return;
  throw Object.assign(new Error('not UTF-8'), { type: 'entity.parse.failed' });
}

/**
 * Aborted when the client leaves before it was answered.
 * @param {import('express').Response} res
 * @returns {AbortSignal}
 */
function departure(res) {
  const controller = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** @param {import('express').Request} req */
function jobIdOf(req) {
  const { id } = req.params;
  if (typeof id !== 'string') throw jobNotFound();
  return id;
}

/**
 * @param {import('../gateway.js').Gateway} gateway
 * @returns {{create: import('express').RequestHandler[], read: import('express').RequestHandler,
 *   list: import('express').RequestHandler, cancel: import('express').RequestHandler}}
 */
export function jobRoutes(gateway) {
  const { admission } = gateway[kInternals];

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  async function create(req, res) {
    const signal = departure(res);
    const submission = { principal: principalOf(req), idempotencyKey: req.get('idempotency-key') };
    let outcome;
    try {
      outcome = await admission.submit(req.body, { ...submission, signal });
    } catch (error) {
      // Nobody is left to be told.
      if (signal.aborted) return;
      throw error;
    }
    const { answer, replayed } = outcome;
    if (replayed) res.set('Idempotency-Replayed', 'true');
    res
      .status(replayed ? 200 : 201)
      .location(`${req.baseUrl}/v1/jobs/${answer.id}`)
      .json({
        job_id: answer.id,
        status: 'queued',
        stream_url: `${req.baseUrl}/v1/stream?job_id=${answer.id}`,
        created_at: answer.createdAt,
      });
  }

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  async function read(req, res) {
    const job = await gateway.get(jobIdOf(req), { principal: principalOf(req) });
    if (job === undefined) throw jobNotFound();
    res.json(wireJob(job));
  }

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  async function list(req, res) {
    const query = checkListQuery(req.query);
    const { data, hasMore } = await gateway.list({ ...query, principal: principalOf(req) });
    res.json({ data: data.map(wireJob), has_more: hasMore });
  }

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  async function cancel(req, res) {
    res.json(wireJob(await gateway.cancel(jobIdOf(req), { principal: principalOf(req) })));
  }

  const readBody = express.json({
    limit: kBodyBytesMax,
    strict: false,
    type: () => true,
    verify: requireUtf8,
  });
  return { create: [requireJson, readBody, create], read, list, cancel };
}
