/**
 * The options `webhooks` and `webhookUrls` of `createGateway`, and the members `webhooks` and
 * `webhook_urls` of the configuration file: checks, and the form that the service works with. Pure
 * functions.
 */
import { dotted, problemOf, schemaCheck } from '../../internal/util/request-schema.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/**
 * One receiver of events.
 * @typedef {object} WebhookConfig
 * @property {string} url http or https; each one once
 * @property {string[]} [events] `job.completed`, `job.failed`, `job.cancelled`, the same of `workflow` and
 *   `crawl`, `job.*`, `workflow.*`, `crawl.*`, or `*`; default `*`
 * @property {string | string[]} secret key of the signature: base64 of 16 bytes or more, usually behind
 *   `whsec_`; several while a secret is rotated
 * @property {boolean} [text] whether the body has the text of the answer; default false
 */

/**
 * Webhooks of single jobs (`webhook_url`).
 * @typedef {object} WebhookUrlsConfig
 * @property {string[]} [allowedHosts] `hooks.example`, `*.example` for the names below it, or
 *   `hooks.example:8443` for one port; default: no job may have a `webhook_url`
 * @property {string | string[]} [secret] as of `WebhookConfig`; required with `allowedHosts`
 * @property {boolean} [allowPrivateAddresses] default false
 */

/** @typedef {{url: string, types: ReadonlySet<string>, keys: Buffer[], text: boolean}} Webhook */
/** @typedef {{hosts: HostPattern[], keys: Buffer[], allowPrivateAddresses: boolean}} WebhookUrls */
/** @typedef {{name: string, below: boolean, port: string}} HostPattern `port` empty: any */
/** @typedef {{webhooks: readonly Webhook[], webhookUrls?: WebhookUrls}} WebhookSettings */
/** @typedef {import('../../internal/util/request-schema.js').SchemaProblem} SchemaProblem */

const KINDS = ['job', 'workflow', 'crawl'];
const EVENT_TYPES = KINDS.flatMap((kind) =>
  ['completed', 'failed', 'cancelled'].map((status) => `${kind}.${status}`),
);
const PATTERNS = [...EVENT_TYPES, ...KINDS.map((kind) => `${kind}.*`), '*'];

const URL_LENGTH_MAX = 2048;
const SECRET_PREFIX = 'whsec_';
const SECRET_BYTES_MIN = 16;
const SECRET_IS = `must be base64 of ${SECRET_BYTES_MIN} bytes or more, usually behind ${SECRET_PREFIX}`;
const HOST_IS =
  'must be a host such as "hooks.example", "*.example" or "hooks.example:8443", without a scheme or path';

const text = { type: 'string', minLength: 1 };
const secret = { type: ['string', 'array'], items: text, minItems: 1, minLength: 1 };

const validateWebhooks = schemaCheck({
  type: 'array',
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['url', 'secret'],
    properties: {
      url: text,
      events: { type: 'array', minItems: 1, items: { enum: PATTERNS, type: 'string' } },
      secret,
      text: { type: 'boolean' },
    },
  },
});
const validateFileUrls = schemaCheck({
  type: 'object',
  additionalProperties: false,
  properties: {
    allowed_hosts: { type: 'array', items: text },
    secret,
    allow_private_addresses: { type: 'boolean' },
  },
});
const validateSecret = schemaCheck(secret);

/** The members of a configuration file that concern webhooks. */
export const WEBHOOK_MEMBERS = Object.freeze(['webhooks', 'webhook_urls']);

/** @typedef {(path: string[], says: string) => never} Refuse */

/**
 * @param {string} value
 * @returns {URL | string} a string: what is wrong with it
 */
export function readWebhookUrl(value) {
  if (value.length > URL_LENGTH_MAX) return `must be a URL of up to ${URL_LENGTH_MAX} characters`;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) return 'must be an http or https URL';
  if (url.username !== '' || url.password !== '') return 'must be a URL without a user name';
  if (url.hash !== '') return 'must be a URL without a fragment';
  return url;
}

/**
 * @param {string | string[]} value
 * @param {string[]} path
 * @param {Refuse} refuse
 * @returns {Buffer[]}
 */
function readKeys(value, path, refuse) {
  return [value].flat().map((given, i) => {
    const digits = given.startsWith(SECRET_PREFIX) ? given.slice(SECRET_PREFIX.length) : given;
    const key = Buffer.from(digits, 'base64');
    if (key.toString('base64') === digits && key.length >= SECRET_BYTES_MIN) return key;
    return refuse(Array.isArray(value) ? [...path, String(i)] : path, SECRET_IS);
  });
}

/** @param {readonly string[]} patterns @returns {ReadonlySet<string>} */
function typesOf(patterns) {
  const matches = (/** @type {string} */ type) =>
    patterns.some((one) => one === '*' || one === type || one === `${type.split('.')[0]}.*`);
  return new Set(EVENT_TYPES.filter(matches));
}

/**
 * @param {readonly WebhookConfig[]} configs of the schema
 * @param {Refuse} refuse
 * @returns {Webhook[]}
 */
function readWebhooks(configs, refuse) {
  /** @type {string[]} */
  const urls = [];
  return configs.map(
    ({ url: given, events = ['*'], secret: secrets, text: hasText = false }, i) => {
      const at = ['webhooks', String(i)];
      const url = readWebhookUrl(given);
      if (typeof url === 'string') return refuse([...at, 'url'], url);
      const first = urls.indexOf(url.href);
      if (first >= 0) return refuse([...at, 'url'], `must not repeat that of webhook ${first}`);
      urls.push(url.href);
      const keys = readKeys(secrets, [...at, 'secret'], refuse);
      return { url: url.href, types: typesOf(events), keys, text: hasText };
    },
  );
}

/**
 * @param {WebhookUrlsConfig} config
 * @param {{at: string, allowedHosts: string}} names of the members, as the caller writes them
 * @param {Refuse} refuse
 * @returns {WebhookUrls | undefined}
 */
function readUrls(
  { allowedHosts = [], secret: secrets, allowPrivateAddresses = false },
  names,
  refuse,
) {
  const hosts = allowedHosts.map((host, i) => {
    const [, wildcard, name, port = ''] =
      /^(\*\.)?(\[[\da-f:.]+\]|[^\s:/?#@\\[\]*]+)(?::(\d{1,5}))?$/i.exec(host) ?? [];
    if (name === undefined) return refuse([names.at, names.allowedHosts, String(i)], HOST_IS);
    return { name: name.toLowerCase(), below: wildcard !== undefined, port };
  });
  if (hosts.length === 0) return undefined;
  if (secrets === undefined) return refuse([names.at, 'secret'], `is required. It ${SECRET_IS}`);
  const keys = readKeys(secrets, [names.at, 'secret'], refuse);
  return { hosts, keys, allowPrivateAddresses };
}

/** @param {any} validator @param {string} at @returns {SchemaProblem} */
function schemaProblem(validator, at) {
  const { path, ...rest } = problemOf(validator.errors[0]);
  return { path: [at, ...path], ...rest };
}

/** @param {SchemaProblem} problem @returns {TypeError | RangeError} */
function optionError({ path, kind, says }) {
  const at = dotted(path);
  return kind === 'value' ? rangeError(`${at} ${says}`) : typeError(`${at} ${says}`);
}

/**
 * @param {unknown} webhooks
 * @param {WebhookUrlsConfig} webhookUrls types checked by the table of options, besides `secret`
 * @returns {WebhookSettings}
 * @throws {TypeError | RangeError} naming the member
 */
export function compileWebhooks(webhooks = [], webhookUrls = {}) {
  /** @type {Refuse} */
  const refuse = (path, says) => {
    throw optionError({ path, says, kind: 'value' });
  };
  // The schema takes long to compile, and most servers start without webhooks.
  const isEmpty = Array.isArray(webhooks) && webhooks.length === 0;
  if (!isEmpty && !validateWebhooks(webhooks)) {
    throw optionError(schemaProblem(validateWebhooks, 'webhooks'));
  }
  if (webhookUrls.secret !== undefined && !validateSecret(webhookUrls.secret)) {
    throw optionError(schemaProblem(validateSecret, 'webhookUrls.secret'));
  }
  const names = { at: 'webhookUrls', allowedHosts: 'allowedHosts' };
  return Object.freeze({
    webhooks: Object.freeze(readWebhooks(/** @type {WebhookConfig[]} */ (webhooks), refuse)),
    webhookUrls: readUrls(webhookUrls, names, refuse),
  });
}

/**
 * @param {any} urls `webhook_urls` of a configuration file
 * @returns {WebhookUrlsConfig | undefined}
 */
function fromFile(urls) {
  if (urls === undefined) return undefined;
  const { allowed_hosts: allowedHosts, secret: secrets, allow_private_addresses: isPrivate } = urls;
  return { allowedHosts, secret: secrets, allowPrivateAddresses: isPrivate };
}

/**
 * @param {Record<string, unknown>} members of a configuration file
 * @returns {SchemaProblem | undefined} the first problem found
 */
export function findWebhookProblem({ webhooks = [], webhook_urls: urls = {} }) {
  if (!validateWebhooks(webhooks)) return schemaProblem(validateWebhooks, 'webhooks');
  if (!validateFileUrls(urls)) return schemaProblem(validateFileUrls, 'webhook_urls');
  /** @type {SchemaProblem | undefined} */
  let found;
  try {
    /** @type {Refuse} */
    const refuse = (path, says) => {
      found = { path, says, kind: 'value' };
      throw new Error(says);
    };
    readWebhooks(/** @type {WebhookConfig[]} */ (webhooks), refuse);
    const names = { at: 'webhook_urls', allowedHosts: 'allowed_hosts' };
    readUrls(fromFile(urls) ?? {}, names, refuse);
  } catch (error) {
    if (found === undefined) throw error;
  }
  return found;
}

/**
 * @param {Record<string, unknown>} members of a configuration file, checked
 * @returns {{webhooks?: WebhookConfig[], webhookUrls?: WebhookUrlsConfig}} options of the gateway
 */
export function webhookOptions({ webhooks, webhook_urls: urls }) {
  return {
    ...(webhooks !== undefined && { webhooks: /** @type {WebhookConfig[]} */ (webhooks) }),
    ...(urls !== undefined && { webhookUrls: fromFile(urls) }),
  };
}

/**
 * @param {WebhookUrls} settings
 * @param {URL} url
 * @returns {boolean} whether a job may name it
 */
export function isAllowedHost({ hosts }, { hostname, port, protocol }) {
  const at = port || (protocol === 'https:' ? '443' : '80');
  return hosts.some(({ name, below, port: only }) => {
    if (only !== '' && only !== at) return false;
    return below ? hostname.endsWith(`.${name}`) : hostname === name;
  });
}
