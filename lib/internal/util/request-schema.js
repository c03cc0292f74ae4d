/**
 * Checks against JSON schemas, with the only Ajv of the process, and its problems in our
 * words: the same wording for requests, options and configuration files. Loading Ajv and compiling a schema
 * take many milliseconds, so both wait for the first value to check. Pure functions.
 */
import { ajv, lazy } from './packages.js';

/**
 * @typedef {object} SchemaCheck
 * @property {import('ajv').ErrorObject[] | null | undefined} errors of the last call; null if it
 *   returned true
 */

const compiler = lazy(
  () =>
    new (ajv().Ajv)({
      ...{ allowUnionTypes: true, strictTypes: false, verbose: true },
      // Compiling the meta schema would take longer than any of ours; a test validates the schemas instead.
      ...{ meta: false, validateSchema: false },
    }),
);

/** Every schema of the process, for their test. @type {object[]} */
export const schemas = [];

/**
 * @param {object} schema
 * @returns {((value: unknown) => boolean) & SchemaCheck} whether a value conforms to the schema
 */
export function schemaCheck(schema) {
  schemas.push(schema);
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

/**
 * @typedef {object} SchemaProblem
 * @property {string[]} path of the invalid value, from the root; array indices as digits
 * @property {'type' | 'missing' | 'unknown' | 'value'} kind
 * @property {string} says the requirement, for example `must be at least 1`
 */

/** A name in a message comes from the sender; it is cut to bound the answer. */
const NAME_LENGTH_MAX = 100;

/** @param {string} pointer a JSON pointer */
function stepsOf(pointer) {
  const steps = pointer.split('/').slice(1);
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** @param {string[]} path @returns {string} as a JSON pointer (RFC 6901) */
export function pointerTo(path) {
  return path.map((step) => `/${step.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** @param {string[]} path @returns {string} `['messages', '0', 'role']` as `messages[0].role` */
export function dotted(path) {
  return path.reduce((whole, step) => {
    if (/^\d+$/.test(step)) return `${whole}[${step}]`;
    return whole === '' ? step : `${whole}.${step}`;
  }, '');
}

/**
 * @param {import('ajv').ErrorObject} error for `pattern`, the schema's `description` explains the
 *   pattern; ajv includes it with its option `verbose`
 * @returns {SchemaProblem}
 */
export function problemOf({ keyword, instancePath, params, parentSchema }) {
  const path = stepsOf(instancePath);
  switch (keyword) {
    case 'type': {
      const types = [params.type].flat();
      const article = /^[aeiou]/.test(types[0]) ? 'an' : 'a';
      return { path, kind: 'type', says: `must be ${article} ${types.join(' or ')}` };
    }
    case 'required':
      path.push(params.missingProperty);
      return { path, kind: 'missing', says: 'is required' };
    case 'additionalProperties':
      path.push(String(params.additionalProperty).slice(0, NAME_LENGTH_MAX));
      return { path, kind: 'unknown', says: 'is not known here' };
    case 'pattern':
      return { path, kind: 'value', says: `must be ${parentSchema?.description}` };
    case 'enum':
      return {
        path,
        kind: 'value',
        says: `must be one of ${params.allowedValues.map(String).join(', ')}`,
      };
    case 'minLength':
    case 'minItems':
      return { path, kind: 'value', says: 'must not be empty' };
    case 'maxLength':
      return { path, kind: 'value', says: `has at most ${params.limit} characters` };
    case 'maxItems':
      return { path, kind: 'value', says: `has at most ${params.limit} items` };
    case 'minimum':
      return { path, kind: 'value', says: `must be at least ${params.limit}` };
    default:
      return { path, kind: 'value', says: `must be at most ${params.limit}` };
  }
}
