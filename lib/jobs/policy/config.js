/**
 * Configuration of access and limits: the `access` option of `createGateway` and the same members
 * of the file of `--config`. Checks the configuration and compiles it into a frozen `Policy` that
 * is replaced as a whole. Pure functions.
 */
import { hash as digestOf, randomBytes, timingSafeEqual } from 'node:crypto';
import { checkString } from '../../internal/util/validate.js';
import { dotted, problemOf, schemaCheck } from '../../internal/util/request-schema.js';
import {
  accountOf,
  accountSchema,
  compileOverdrafts,
  compilePrices,
  creditMembers,
  findCreditProblem,
  ALL,
} from './prices.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/** Endpoints that accept jobs, by the names that limits use. */
export const endpoints = Object.freeze({
  jobs: '/v1/jobs',
  workflows: '/v1/workflows',
  crawls: '/v1/crawls',
  embeddings: '/v1/embeddings',
});

/** The principal of callers of a gateway without authentication. */
export const ANONYMOUS = 'anonymous';

/**
 * Limits of use. An absent limit means unlimited.
 * @typedef {object} Limits
 * @property {number} [requests_per_minute]
 * @property {number} [tokens_per_minute] prompt and completion
 * @property {number} [concurrent_jobs]
 */

/**
 * @typedef {object} KeyConfig
 * @property {string} id the principal: owner of its jobs, and its name in logs
 * @property {string | string[]} sha256 of the key, 64 hexadecimal digits; several while a key is
 *   rotated
 * @property {string} [organisation]
 * @property {Limits} [limits] each given limit replaces the default of that name
 * @property {string[]} [models] permitted models; default all
 * @property {boolean} [admin] may read `/metrics`, use `/v1/logs`, see all accounts and move
 *   credits; default false
 * @property {string} [account] account that it pays from; default its organisation's, else its own
 * @property {boolean} [disabled] refuse the key and void its signed URLs; default false
 */

/**
 * Names are those of the configuration file.
 * @typedef {object} AccessConfig
 * @property {KeyConfig[]} [keys] absent: all callers are `anonymous`; an empty list refuses all
 *   callers
 * @property {Record<string, {limits?: Limits, models?: string[]}>} [organisations] limits are
 *   shared by all keys of an organisation
 * @property {Record<string, {limits?: Limits}>} [models] limits are shared by all users of the
 *   model
 * @property {Record<string, {limits?: Limits}>} [endpoints] by path; limits are shared by all users
 *   of the endpoint
 * @property {Limits} [limits] defaults for every key
 * @property {number} [default_max_tokens] tokens reserved for the answer to a job without
 *   `max_tokens`, if the limit is as large, and the longest answer of such a job when it is priced;
 *   default 1024
 * @property {Record<string, import('./prices.js').PriceConfig>} [prices] by model; `*`: all other
 *   models. Jobs without a price are free
 * @property {Record<string, import('./prices.js').AccountConfig>} [accounts] by name; `*`: all
 *   other accounts
 * @property {string[]} [cors_origins] pages of these origins may call; `*` is any
 * @property {number} [stream_url_ttl_s] time to the first use of a signed `stream_url`; default 300
 * @property {string} [stream_url_secret] signing secret; default: random per process
 */

/**
 * Identity and permissions of a caller. Frozen.
 * @typedef {object} Access
 * @property {string} principal
 * @property {string} [organisation]
 * @property {boolean} admin
 * @property {string} [account] account that it pays from, if other than its organisation's or its
 *   own
 * @property {readonly string[]} [models] permitted models; absent: all
 * @property {Readonly<Limits>} limits of this principal alone, defaults filled in
 */

/** @typedef {{digest: Buffer, access: Readonly<Access>}} KeyEntry */

/**
 * A configured key as administrators see it. `fingerprints`: the first digits of its hashes.
 * @typedef {Omit<KeyConfig, 'sha256'> & {fingerprints: readonly string[]}} KeyInfo
 */

/**
 * A compiled configuration. Frozen.
 * @typedef {object} Policy
 * @property {boolean} keyed whether keys are configured
 * @property {Map<string, Readonly<Access>>} principals by id of their key, disabled ones included
 * @property {Map<string, Readonly<KeyInfo>>} keys by id, in the order of the configuration
 * @property {Readonly<Limits>} limits defaults
 * @property {Readonly<Access>} anonymous of callers without authentication
 * @property {Map<string, {limits: Readonly<Limits>, models?: string[]}>} organisations
 * @property {Map<string, {limits: Readonly<Limits>}>} models
 * @property {Map<string, {limits: Readonly<Limits>}>} endpoints
 * @property {Map<string, import('./prices.js').Price>} prices by model, and `*`
 * @property {Map<string, bigint | boolean>} overdrafts by account, and `*`
 * @property {Set<string>} accounts configured, or named by a key
 * @property {number} defaultMaxTokens
 * @property {readonly string[]} [corsOrigins]
 * @property {{ttlS: number, secret?: string}} streamUrls
 * @property {(digest: Buffer) => Readonly<Access> | undefined} find by the SHA-256 of a key
 */

const LIMIT_MAX = 2 ** 31 - 1;
const DEFAULT_MAX_TOKENS = 1024;
/** Of SHA-256. */
const DIGEST_BYTES = 32;
const STREAM_URL_TTL_S = 300;
const STREAM_URL_TTL_MAX_S = 24 * 3600;

const limit = { type: 'integer', minimum: 1, maximum: LIMIT_MAX };
const limitsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: { requests_per_minute: limit, tokens_per_minute: limit, concurrent_jobs: limit },
};
const limited = {
  type: 'object',
  additionalProperties: false,
  properties: { limits: limitsSchema },
};
const modelNames = { type: 'array', items: { type: 'string', minLength: 1, maxLength: 256 } };
const name = {
  type: 'string',
  pattern: '^[\\w.:@/+-]{1,128}$',
  description: '1 to 128 letters, digits or any of _ . : @ / + -',
};
const FINGERPRINT_DIGITS = 8;
const hash = {
  pattern: '^[0-9a-fA-F]{64}$',
  description: 'the SHA-256 of the key as 64 hexadecimal digits',
};

/** Members of a key, except its hashes. */
const keyMembers = {
  id: name,
  organisation: name,
  limits: limitsSchema,
  models: modelNames,
  admin: { type: 'boolean' },
  account: accountSchema,
  disabled: { type: 'boolean' },
};

/** A key to create: an entry without hashes. */
export const newKeySchema = {
  type: 'object',
  additionalProperties: false,
  properties: keyMembers,
};

const { id: _id, ...changeable } = keyMembers;

/**
 * A change of a key, as JSON Merge Patch (RFC 7396): members replace those of the entry, those of
 * `limits` one by one; null removes one. The values are checked with the whole configuration.
 */
export const keyChangeSchema = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  properties: {
    ...Object.fromEntries(Object.keys(changeable).map((member) => [member, {}])),
    limits: {
      type: ['object', 'null'],
      additionalProperties: false,
      properties: Object.fromEntries(
        Object.keys(limitsSchema.properties).map((member) => [member, {}]),
      ),
    },
  },
};

/** @type {Record<keyof AccessConfig, object>} */
const properties = {
  keys: {
    type: 'array',
    items: {
      type: 'object',
      additionalProperties: false,
      required: ['id', 'sha256'],
      properties: {
        ...keyMembers,
        sha256: {
          type: ['string', 'array'],
          ...hash,
          minItems: 1,
          items: { type: 'string', ...hash },
        },
      },
    },
  },
  organisations: {
    type: 'object',
    additionalProperties: {
      type: 'object',
      additionalProperties: false,
      properties: { limits: limitsSchema, models: modelNames },
    },
  },
  models: { type: 'object', additionalProperties: limited },
  endpoints: {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(Object.values(endpoints).map((path) => [path, limited])),
  },
  limits: limitsSchema,
  default_max_tokens: limit,
  ...creditMembers,
  cors_origins: { type: 'array', items: { type: 'string' } },
  stream_url_ttl_s: { type: 'integer', minimum: 1, maximum: STREAM_URL_TTL_MAX_S },
  stream_url_secret: {
    type: 'string',
    pattern: '^[^]{16,}$',
    description: 'a string of 16 characters or more',
  },
};

/** The members of a configuration file for access. */
export const accessMembers = Object.freeze(Object.keys(properties));

const validate = schemaCheck({ type: 'object', additionalProperties: false, properties });
const validateLimits = schemaCheck(limitsSchema);

/** @typedef {import('../../internal/util/request-schema.js').SchemaProblem} SchemaProblem */

/** @param {any} validator @returns {SchemaProblem} */
const firstProblem = (validator) => problemOf(validator.errors[0]);

/**
 * Checks beyond the schema: duplicates and unknown names.
 * @param {AccessConfig} config
 * @returns {SchemaProblem | undefined}
 */
function findInconsistency({ keys = [], organisations, cors_origins: origins = [] }) {
  /** @type {Map<string, string>} */
  const seen = new Map();
  for (const [i, { id, sha256, organisation }] of keys.entries()) {
    const at = ['keys', String(i)];
    /** @type {(path: string[], says: string) => SchemaProblem} */
    const bad = (path, says) => ({ path: [...at, ...path], kind: 'value', says });
    // A key must not own the jobs of anonymous callers and of gateway.submit().
    if (id === ANONYMOUS) return bad(['id'], `must not be ${ANONYMOUS}`);
    const owner = seen.get(`id ${id}`);
    if (owner !== undefined) return bad(['id'], `must not repeat ${owner}`);
    seen.set(`id ${id}`, `/${at.join('/')}/id`);
    for (const [j, digits] of [sha256].flat().entries()) {
      const path = Array.isArray(sha256) ? ['sha256', String(j)] : ['sha256'];
      const first = seen.get(digits.toLowerCase());
      if (first !== undefined) return bad(path, `must not repeat ${first}`);
      seen.set(digits.toLowerCase(), `/${[...at, ...path].join('/')}`);
    }
    if (organisation !== undefined && organisations !== undefined) {
      if (!Object.hasOwn(organisations, organisation)) {
        return bad(['organisation'], 'must be one of the organisations');
      }
    }
  }
  const i = origins.findIndex((origin) => !isOrigin(origin));
  if (i < 0) return undefined;
  return { path: ['cors_origins', String(i)], kind: 'value', says: `must be ${ORIGIN_IS}` };
}

const ORIGIN_IS = '"*" or an origin without a path, such as "https://app.example"';

/** @param {string} text @returns {boolean} whether a browser would send it as `Origin` */
function isOrigin(text) {
  return text === '*' || (URL.canParse(text) && new URL(text).origin === text);
}

/**
 * @param {string} option as the caller wrote it
 * @param {unknown} [value]
 * @returns {readonly string[]} origins, a copy
 */
export function checkOrigins(option, value = []) {
  if (!Array.isArray(value)) throw typeError(`${option} takes an array of origins`);
  for (const [i, origin] of value.entries()) {
    if (!isOrigin(checkString(`${option}[${i}]`, origin))) {
      throw rangeError(`${option}[${i}] must be ${ORIGIN_IS}`);
    }
  }
  return Object.freeze([...value]);
}

/** @param {unknown} value */
function isEmptyObject(value) {
  if (typeof value !== 'object' || value === null) return false;
  // A Map has properties of the same names.
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(value));
  return isPlain && Object.keys(value).length === 0;
}

/**
 * @param {unknown} config
 * @returns {SchemaProblem | undefined} the first problem found
 */
export function findAccessProblem(config) {
  // The usual configuration at the start; it needs no compiled schemas.
  if (isEmptyObject(config)) return undefined;
  if (!validate(config)) return firstProblem(validate);
  const checked = /** @type {AccessConfig} */ (config);
  return findInconsistency(checked) ?? findCreditProblem(checked);
}

/**
 * @param {string} option
 * @param {SchemaProblem} problem
 * @returns {TypeError | RangeError}
 */
function optionError(option, { path, kind, says }) {
  const at = dotted([option, ...path]);
  return kind === 'value' ? rangeError(`${at} ${says}`) : typeError(`${at} ${says}`);
}

/** A configuration without members. */
const NONE = Object.freeze({});

/**
 * @param {string} option as the caller wrote it
 * @param {unknown} value
 * @returns {Readonly<Limits>} a copy
 */
export function checkLimits(option, value = NONE) {
  // Compiling the schemas takes long; a server without limits starts without them.
  if (value === NONE) return NONE;
  if (!validateLimits(value)) throw optionError(option, firstProblem(validateLimits));
  return Object.freeze({ .../** @type {Limits} */ (value) });
}

/**
 * @param {Pick<Policy, 'limits' | 'organisations'>} policy
 * @param {Partial<Access> & {principal: string}} fields
 * @returns {Readonly<Access>} completed from the policy
 */
export function completeAccess(policy, fields) {
  const { principal, organisation, admin = false, account, models, limits } = fields;
  const shared = organisation === undefined ? undefined : policy.organisations.get(organisation);
  const may = [models, shared?.models].filter((list) => list !== undefined);
  const both = may[0]?.filter((model) => may.every((list) => list.includes(model)));
  return Object.freeze({
    principal,
    admin,
    limits: Object.freeze({ ...policy.limits, ...limits }),
    ...(organisation !== undefined && { organisation }),
    ...(account !== undefined && { account }),
    ...(both !== undefined && { models: Object.freeze(both) }),
  });
}

/**
 * A look-up by the SHA-256 of a key. The Map, which compares strings with early exit, is keyed by a hash
 * of a secret and the digest, so its timing reveals nothing about a guess. Their lengths are fixed, so that
 * nobody can extend them. The digest itself is compared in constant time.
 * @param {KeyEntry[]} entries
 * @returns {(digest: Buffer) => Readonly<Access> | undefined}
 */
function lookup(entries) {
  const secret = randomBytes(DIGEST_BYTES);
  const slot = (/** @type {Buffer} */ digest) =>
    digestOf('sha256', Buffer.concat([secret, digest], 2 * DIGEST_BYTES), 'base64');
  const slots = new Map(entries.map((entry) => [slot(entry.digest), entry]));
  return (digest) => {
    const entry = slots.get(slot(digest));
    return entry !== undefined && timingSafeEqual(entry.digest, digest) ? entry.access : undefined;
  };
}

/** @param {KeyConfig} key @returns {Readonly<KeyInfo>} a hash that reveals nothing about the key */
function infoOf({ sha256, ...rest }) {
  const fingerprints = [sha256].flat().map((digits) => digits.slice(0, FINGERPRINT_DIGITS));
  return Object.freeze({ ...structuredClone(rest), fingerprints });
}

/**
 * @template {{limits?: Limits}} T
 * @param {Record<string, T>} [named]
 * @returns {Map<string, T & {limits: Readonly<Limits>}>}
 */
function withLimits(named = {}) {
  const entries = Object.entries(structuredClone(named));
  return new Map(entries.map(([key, rest]) => [key, { ...rest, limits: { ...rest.limits } }]));
}

/**
 * @param {string} option name of the option in error messages
 * @param {unknown} given an `AccessConfig`, or undefined for none
 * @returns {Readonly<Policy>} independent of `given`
 * @throws {TypeError | RangeError} naming the invalid option
 */
export function compileAccess(option, given = NONE) {
  const problem = given === NONE ? undefined : findAccessProblem(given);
  if (problem !== undefined) throw optionError(option, problem);
  const config = /** @type {AccessConfig} */ (given);
  const defaults = checkLimits(`${option}.limits`, config.limits);
  const organisations = withLimits(config.organisations);
  /** @type {KeyEntry[]} */
  const entries = [];
  /** @type {Map<string, Readonly<Access>>} */
  const principals = new Map();
  /** @type {Policy['keys']} */
  const keys = new Map();
  for (const key of config.keys ?? []) {
    const access = completeAccess(
      { limits: defaults, organisations },
      { ...key, principal: key.id },
    );
    principals.set(key.id, access);
    keys.set(key.id, infoOf(key));
    if (key.disabled) continue;
    for (const digits of [key.sha256].flat()) {
      entries.push({ digest: Buffer.from(digits, 'hex'), access });
    }
  }
  const anonymous = completeAccess({ limits: defaults, organisations }, { principal: ANONYMOUS });
  const overdrafts = compileOverdrafts(config.accounts);
  const payers = config.keys === undefined ? [anonymous] : [...principals.values()];
  const names = [...payers.map(accountOf), ...overdrafts.keys()];
  return Object.freeze({
    keyed: config.keys !== undefined,
    principals,
    keys,
    limits: defaults,
    anonymous,
    prices: compilePrices(config.prices),
    overdrafts,
    accounts: new Set(names.filter((account) => account !== ALL)),
    organisations,
    models: withLimits(config.models),
    endpoints: withLimits(config.endpoints),
    defaultMaxTokens: config.default_max_tokens ?? DEFAULT_MAX_TOKENS,
    corsOrigins: config.cors_origins && Object.freeze([...config.cors_origins]),
    streamUrls: Object.freeze({
      ttlS: config.stream_url_ttl_s ?? STREAM_URL_TTL_S,
      secret: config.stream_url_secret,
    }),
    find: lookup(entries),
  });
}
