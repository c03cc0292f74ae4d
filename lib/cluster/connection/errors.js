/** Classifies errors of Redis. Pure functions. */
import { isTlsError } from './tls-options.js';

/** @typedef {import('../../streams/redis-link.js').RedisState} RedisState */

/** The first word of an error of Redis, and the state that it means. @type {Record<string, RedisState>} */
export const STATES = {
  READONLY: 'readonly',
  MISCONF: 'readonly',
  NOREPLICAS: 'readonly',
  MASTERDOWN: 'unreachable',
  LOADING: 'unreachable',
  BUSY: 'unreachable',
  CLUSTERDOWN: 'unreachable',
  TRYAGAIN: 'unreachable',
  MOVED: 'unreachable',
  ASK: 'unreachable',
  OOM: 'full',
  WRONGPASS: 'refused',
  NOAUTH: 'refused',
  NOPERM: 'refused',
  CROSSSLOT: 'refused',
  COMMAND: 'refused',
  DATABASE: 'refused',
  PROTOCOL: 'refused',
};

/** Codes and explanations of lasting faults. @type {Record<string, [string, string]>} */
export const REFUSALS = {
  WRONGPASS: ['ERR_REDIS_AUTHENTICATION', 'does not accept the user or the password'],
  NOAUTH: ['ERR_REDIS_AUTHENTICATION', 'asks for a password'],
  NOPERM: ['ERR_REDIS_PERMISSION', 'does not let its user do this'],
  CROSSSLOT: ['ERR_REDIS_CLUSTER', 'is part of a cluster that refuses the keys'],
  TLS: ['ERR_REDIS_TLS', 'cannot be reached by TLS'],
  DATABASE: ['ERR_REDIS_DATABASE', 'does not have this database'],
  PROTOCOL: ['ERR_REDIS_PROTOCOL', 'is no server of Redis'],
  COMMAND: ['ERR_REDIS_COMMAND', 'does not have a command that is needed'],
  SENTINEL: ['ERR_REDIS_SENTINEL', 'is a Sentinel, which has no data'],
  VERSION: ['ERR_REDIS_VERSION', 'is older than 6.2'],
  SCHEMA: ['ERR_REDIS_SCHEMA', 'has data of a newer version of sluice'],
};

/** Errors after which the server's address is looked up again. */
export const LEAVE = new Set(['READONLY', 'MASTERDOWN', 'MOVED']);

/** Errors that begin with no code, and a code for each. @type {[RegExp, string][]} */
const WORDS = [
  [/^Unknown RESP type/, 'PROTOCOL'],
  [/^ERR unknown command/i, 'COMMAND'],
  [/Unknown Redis command called from/, 'COMMAND'],
  // Of a script: the rights of its user do not cover one of its commands, keys or channels.
  [/The user executing the script can't/, 'NOPERM'],
  [/^ERR (DB index|invalid DB index|SELECT is not allowed)/, 'DATABASE'],
];

/**
 * @param {Error} error of a command or a connection
 * @returns {string} the code at its beginning (elsewhere in errors of scripts), or a substitute
 */
export function wordOf(error) {
  if (isTlsError(error)) return 'TLS';
  const { message } = error;
  const [, own] = WORDS.find(([pattern]) => pattern.test(message)) ?? [];
  if (own !== undefined) return own;
  const known = Object.keys(STATES).find(
    (word) => message.startsWith(word) || message.includes(` ${word} `),
  );
  return known ?? message.split(' ', 1)[0];
}

/**
 * @param {Error & {reason?: unknown}} error of a command or a connection
 * @returns {string} one line for users: the client's own text asks for a bug report if another kind of server
 *   answers, and that of OpenSSL is a stack trace
 */
export function detailOf({ message, reason }) {
  const [, first] = /^Unknown RESP type \d+ (".*")\./.exec(message) ?? [];
  if (first !== undefined) return `its answer begins with ${first}`;
  return typeof reason === 'string' ? reason : message.trim();
}

/**
 * Names a command that the server lacks or does not permit: for a call in a script, Redis names only the line.
 * @param {Error} error of a script
 * @param {import('../client/scripts.js').Script} script
 */
export function withCommand(error, { source }) {
  const where = /(Unknown Redis command|The user executing the script).*user_script:\s?(\d+)/;
  const [, refusal, line] = where.exec(error.message) ?? [];
  const [, command] = /call\('(\w+)'/.exec(source.split('\n')[Number(line) - 1] ?? '') ?? [];
  if (command === undefined) return error;
  return new ReplyError(
    refusal.startsWith('Unknown')
      ? `ERR unknown command '${command}'`
      : `NOPERM its user may not run '${command}' in a script with these keys or channels`,
  );
}

/** An error reply of Redis. */
class ReplyError extends Error {
  name = 'ReplyError';
}
