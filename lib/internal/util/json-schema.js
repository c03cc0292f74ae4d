/**
 * Checks against JSON schemas, with the one Ajv of the process. Loading Ajv and compiling a schema take
 * many milliseconds, so both wait for the first value to check. Pure functions.
 */
import { ajv, lazy } from './packages.js';

/**
 * @typedef {object} SchemaCheck
 * @property {import('ajv').ErrorObject[] | null | undefined} errors of the last call; null if it
 *   returned true
 */

const compiler = lazy(
  () => new (ajv().Ajv)({ allowUnionTypes: true, strictTypes: false, verbose: true }),
);

/**
 * @param {object} schema
 * @returns {((value: unknown) => boolean) & SchemaCheck} whether a value is as the schema says
 */
export function schemaCheck(schema) {
  const compiled = lazy(() => compiler().compile(schema));
  /** @type {((value: unknown) => boolean) & SchemaCheck} */
  const check = Object.assign(
    (/** @type {unknown} */ value) => {
      const validate = compiled();
      const valid = validate(value);
      check.errors = validate.errors;
      return valid;
    },
    { errors: null },
  );
  return check;
}
