/**
 * JSON Schemas of parameters, in the form from which node-llama-cpp makes grammars. It converts unknown keywords to
 * `null`; this file converts them to any value. Pure functions.
 */
import { isObject } from '../../internal/util/validate.js';

/** @typedef {Record<string, any>} Schema */

/** Maximum sizes in llama.cpp's grammars; larger ones are omitted. */
const REPETITIONS_MAX = 1000;
const FORMATS = new Set(['date-time', 'time', 'date']);
const SCALARS = new Set(['string', 'number', 'integer', 'boolean', 'null']);
const ANY_OBJECT = Object.freeze({ type: 'object', additionalProperties: true });
/** Any value. The length of `oneOf` does not affect the model's text. @type {Schema} */
const ANY = Object.freeze({
  oneOf: [{ type: ['string', 'number', 'boolean', 'null'] }, ANY_OBJECT, { type: 'array' }],
});

/** @param {unknown} value @returns {boolean} whether the grammar accepts it as a literal */
const isScalar = (value) =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value);

/** @param {Schema} schema @param {string[]} names @returns {Schema} */
function sizesOf(schema, names) {
  const given = names.filter((name) => schema[name] >= 0 && schema[name] <= REPETITIONS_MAX);
  return Object.fromEntries(given.map((name) => [name, schema[name]]));
}

/** @param {Schema} schema @returns {Schema} */
function objectOf(schema) {
  const { properties, additionalProperties: more } = schema;
  const known = isObject(properties) ? Object.entries(properties) : [];
  const fields = Object.fromEntries(known.map(([name, each]) => [name, converted(each)]));
  // Without `properties` any property is allowed; further ones beside given `properties` are rare.
  const others = isObject(more) ? converted(more) : (more ?? known.length === 0);
  return {
    type: 'object',
    ...(known.length > 0 && { properties: fields }),
    additionalProperties: others,
  };
}

/** @param {Schema} schema @returns {Schema} */
function arrayOf(schema) {
  const { items, prefixItems } = schema;
  return {
    type: 'array',
    ...(isObject(items) && { items: converted(items) }),
    ...(Array.isArray(prefixItems) && { prefixItems: prefixItems.map(converted) }),
    ...sizesOf(schema, ['minItems', 'maxItems']),
  };
}

/** @param {Schema} schema @returns {Schema} */
function stringOf(schema) {
  const { format } = schema;
  if (FORMATS.has(format)) return { type: 'string', format };
  return { type: 'string', ...sizesOf(schema, ['minLength', 'maxLength']) };
}

/** @param {Schema} schema @param {string} type @returns {Schema} */
function typed(schema, type) {
  if (type === 'object') return objectOf(schema);
  if (type === 'array') return arrayOf(schema);
  if (type === 'string') return stringOf(schema);
  return SCALARS.has(type) ? { type } : ANY;
}

/** @param {Schema} schema @returns {string[]} */
function typesOf({ type, properties, items }) {
  if (Array.isArray(type)) return type;
  if (typeof type === 'string') return [type];
  if (isObject(properties)) return ['object'];
  return isObject(items) ? ['array'] : [];
}

/** @param {Schema[]} all of `allOf` @returns {Schema} a schema with the members of all */
function joined(all) {
  return all.reduce((whole, part) => ({
    ...whole,
    ...part,
    properties: { ...whole.properties, ...part.properties },
  }));
}

/** @param {unknown} schema @returns {Schema} */
function converted(schema) {
  if (!isObject(schema)) return schema === false ? { type: 'null' } : ANY;
  const { $ref: ref, anyOf, oneOf = anyOf, allOf, enum: values } = schema;
  if (typeof ref === 'string') return { $ref: ref };
  if (Array.isArray(oneOf) && oneOf.length > 0) return { oneOf: oneOf.map(converted) };
  if (Array.isArray(allOf) && allOf.length > 0 && allOf.every(isObject)) {
    const { allOf: _all, ...rest } = schema;
    return converted(joined([rest, ...allOf]));
  }
  if ('const' in schema) return isScalar(schema.const) ? { const: schema.const } : ANY;
  if (Array.isArray(values) && values.length > 0) {
    return values.every(isScalar) ? { enum: values } : ANY;
  }
  const types = typesOf(schema);
  if (types.length === 0) return ANY;
  const [only] = types;
  return types.length === 1
    ? typed(schema, only)
    : { oneOf: types.map((type) => typed(schema, type)) };
}

/** @param {Schema} schema */
const isComposed = (schema) => ['$ref', 'anyOf', 'oneOf', 'allOf'].some((name) => name in schema);

/**
 * @param {unknown} node of a schema
 * @param {ReadonlySet<string>} names of the definitions
 * @returns {any} references under `$defs`; others become any value
 */
function resolved(node, names) {
  if (Array.isArray(node)) return node.map((each) => resolved(each, names));
  if (!isObject(node)) return node;
  const { $ref: ref } = node;
  if (typeof ref === 'string') {
    const name = /^#\/(?:\$defs|definitions)\/([^/]+)$/.exec(ref)?.[1];
    return name !== undefined && names.has(name) ? { $ref: `#/$defs/${name}` } : ANY;
  }
  return Object.fromEntries(
    Object.entries(node).map(([key, each]) => [key, resolved(each, names)]),
  );
}

/**
 * @param {unknown} parameters of a tool
 * @returns {Schema | undefined} schema of an object; undefined: the tool has no parameters
 */
export function parameterSchema(parameters) {
  if (!isObject(parameters)) return undefined;
  const definitions = { ...parameters.definitions, ...parameters.$defs };
  const names = new Set(Object.keys(definitions));
  const { type, properties, additionalProperties: more = false } = parameters;
  const isPlain = type === 'object' || properties !== undefined || !isComposed(parameters);
  const whole = isPlain
    ? objectOf({ ...parameters, additionalProperties: more })
    : converted(parameters);
  // The model has nothing to fill in.
  if (isPlain && whole.properties === undefined && more === false) return undefined;
  const $defs = Object.fromEntries(
    Object.entries(definitions).map(([name, each]) => [name, converted(each)]),
  );
  return resolved({ ...whole, ...(names.size > 0 && { $defs }) }, names);
}
