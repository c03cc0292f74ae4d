/** The body of a POST: JSON, UTF-8, and of finite size. */
import { isUtf8 } from 'node:buffer';
import express from 'express';
import { HttpError } from '../../internal/util/http-error.js';
import { isEmptyBody, readBody, rulesOf } from './request-body.js';

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

/** @type {Map<number, import('express').RequestHandler>} by their limit: a gateway has one */
const parsers = new Map();

/**
 * @param {number} limit
 * @returns {import('express').RequestHandler}
 */
function parserOf(limit) {
  const parser =
    parsers.get(limit) ??
    express.json({ limit, strict: false, type: () => true, verify: requireUtf8 });
  parsers.set(limit, parser);
  return parser;
}

/**
 * @param {import('express').Request} req
 * @param {import('express').Response} res
 * @param {import('express').NextFunction} next
 */
function readJson(req, res, next) {
  const { maxBytes } = rulesOf(req);
  readBody(req, res, next, maxBytes, (done) => parserOf(maxBytes)(req, res, done));
}

/**
 * To run before a handler that reads `req.body`. No body at all is left to its schema.
 * @type {readonly import('express').RequestHandler[]}
 */
export const jsonBody = Object.freeze([requireJson, readJson]);

/**
 * The same where there may be none: `req.body` is undefined then, of whatever type nothing is.
 * @type {readonly import('express').RequestHandler[]}
 */
export const optionalJsonBody = Object.freeze(
  jsonBody.map(
    (handle) =>
      /** @type {import('express').RequestHandler} */
      (req, res, next) => (isEmptyBody(req) ? next() : handle(req, res, next)),
  ),
);

/**
 * To run before a handler that reads `req.body` as bytes, of whatever type.
 * @param {number} limit of bytes
 * @returns {import('express').RequestHandler}
 */
export function rawBody(limit) {
  const parser = express.raw({ limit, type: () => true });
  return (req, res, next) => readBody(req, res, next, limit, (done) => parser(req, res, done));
}
