/** Refusals of changes of keys. */
import { HttpError } from '../../internal/util/http-error.js';

/** @returns {HttpError} 501 for a gateway without a configuration file */
export function keysReadOnly() {
  return new HttpError(501, {
    code: 'keys_read_only',
    type: 'server_error',
    message:
      'Keys cannot be changed: this server has no configuration file to write them to ' +
      '(sluice serve --config FILE, or the option configFile).',
  });
}

/**
 * @param {unknown} cause
 * @returns {HttpError} 409 for a file that cannot be replaced
 */
export function configNotWritable(cause) {
  const code = /** @type {any} */ (cause)?.code ?? 'unknown';
  const message = `The configuration file cannot be replaced (${code}); nothing has changed.`;
  return new HttpError(409, { code: 'config_not_writable', message, cause });
}

/**
 * @param {string} problem
 * @returns {HttpError} 409 for a file without a readable configuration
 */
export function configInvalid(problem) {
  const message = `The configuration file is not usable: ${problem}. Nothing has changed.`;
  return new HttpError(409, { code: 'config_invalid', message });
}

/** @returns {HttpError} 404 */
export function keyNotFound() {
  return new HttpError(404, {
    code: 'key_not_found',
    param: 'id',
    message: 'There is no key with this id.',
  });
}

/** @returns {HttpError} 409 */
export function keyExists() {
  return new HttpError(409, {
    code: 'key_exists',
    param: 'id',
    message: 'A key with this id already exists.',
  });
}

/** @returns {HttpError} 409 for a change that would remove the last administrator */
export function lastAdminKey() {
  return new HttpError(409, {
    code: 'last_admin_key',
    message: 'No administrator would remain: create another key with admin first.',
  });
}
