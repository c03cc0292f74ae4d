import { hash } from 'node:crypto';
import { checkLimits, compileAccess, completeAccess, ANONYMOUS } from './config.js';
import { checkBoolean, checkOptions, checkString } from '../../internal/util/validate.js';
import { ALL } from './prices.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/** @typedef {import('./config.js').Access} Access */
/** @typedef {import('./config.js').Limits} Limits */
/** @typedef {import('./config.js').Policy} Policy */

/**
 * A unit of quota: the usage of one principal, one organisation, or all users of one model or one
 * endpoint. `name` is unique within its `scope`.
 * @typedef {object} Budget
 * @property {'principal' | 'organisation' | 'model' | 'endpoint'} scope
 * @property {string} name
 * @property {Readonly<Limits>} limits at least one
 */

/**
 * Result of an `authenticate` hook, in place of a principal's name.
 * @typedef {object} GivenAccess
 * @property {string} principal
 * @property {string} [organisation] adds the limits and models of a configured organisation
 * @property {boolean} [admin] default false
 * @property {string} [account] account that it pays from; default its organisation's, else its own
 * @property {string[]} [models] permitted models; default all
 * @property {Limits} [limits] each given limit replaces the default of that name
 */

/** @param {Budget} budget */
const hasLimits = ({ limits }) => Object.keys(limits).length > 0;

/** @param {unknown} value */
const isStrings = (value) =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {string} a name that stays unique when encoded as UTF-8 in the data file
 */
function checkName(name, value) {
  const checked = checkString(name, value);
  if (!checked.isWellFormed()) throw rangeError(`${name} holds half of a surrogate pair`);
  return checked;
}

/**
 * The access policy in force, and its replacement while the gateway runs. Main thread.
 *
 * A request uses one policy from its authentication on. A policy set by `reload` applies to later
 * requests; open streams continue.
 *
 * Lives as long as its gateway.
 */
export class AccessControl {
  #policy;
  #corsOrigins;
  /** @type {WeakSet<Readonly<Access>>} */
  #given = new WeakSet();

  /**
   * @param {Readonly<Policy>} policy
   * @param {readonly string[]} [corsOrigins] used if the policy names none
   */
  constructor(policy, corsOrigins = []) {
    this.#policy = policy;
    this.#corsOrigins = corsOrigins;
  }

  /** Whether callers need a key. */
  get keyed() {
    return this.#policy.keyed;
  }

  /** Origins of pages that may call, or `*`. */
  get corsOrigins() {
    return this.#policy.corsOrigins ?? this.#corsOrigins;
  }

  /** Settings for signed stream URLs. */
  get streamUrls() {
    return this.#policy.streamUrls;
  }

  /**
   * Replaces the configuration atomically.
   * @param {unknown} config
   * @throws {TypeError | RangeError} naming the invalid option; the policy is unchanged
   */
  reload(config) {
    const policy = compileAccess('access', config);
    // A file emptied by accident must not disable authentication; an empty list refuses all
    // callers.
    if (this.#policy.keyed && !policy.keyed) {
      throw rangeError('access.keys may not be left out while the gateway runs with keys');
    }
    this.#policy = policy;
  }

  /** Identifies the configuration in force; changes at each `reload`. @returns {object} */
  get revision() {
    return this.#policy;
  }

  /**
   * @param {string} key decoded like a header by Node: each character is one byte sent by the caller
   * @returns {Readonly<Access> | undefined} undefined: no such key
   */
  byKey(key) {
    return this.#policy.find(hash('sha256', Buffer.from(key, 'latin1'), 'buffer'));
  }

  /**
   * @param {string} principal
   * @returns {Readonly<Access> | undefined} access of the key with this id
   */
  configured(principal) {
    return this.#policy.principals.get(principal);
  }

  /** Configured keys by id. @returns {ReadonlyMap<string, Readonly<import('./config.js').KeyInfo>>} */
  get keys() {
    return this.#policy.keys;
  }

  /**
   * @param {string} principal
   * @returns {boolean} whether a key with this id is accepted
   */
  hasKey(principal) {
    const key = this.#policy.keys.get(principal);
    return key !== undefined && key.disabled !== true;
  }

  /**
   * @param {string} principal
   * @returns {Readonly<Access>} limits of the key with this id, else the default
   */
  of(principal) {
    if (principal === ANONYMOUS) return this.#policy.anonymous;
    return this.configured(principal) ?? completeAccess(this.#policy, { principal });
  }

  /**
   * Converts the result of an `authenticate` hook.
   * @param {unknown} given a principal's name, or a `GivenAccess`
   * @returns {Readonly<Access>}
   */
  from(given) {
    if (typeof given !== 'object' || given === null) {
      return this.of(checkName('the principal', given));
    }
    const fields = /** @type {GivenAccess} */ (given);
    const { principal, organisation, admin, account, models, limits } = fields;
    checkName('the principal', principal);
    if (organisation !== undefined) checkName('the organisation', organisation);
    if (account !== undefined) checkName('the account', account);
    checkBoolean('admin', admin, false);
    if (models !== undefined && !isStrings(models)) throw typeError('models takes names of models');
    const access = completeAccess(this.#policy, {
      principal,
      organisation,
      admin,
      account,
      models,
      limits: checkLimits('limits', limits),
    });
    this.#given.add(access);
    return access;
  }

  /**
   * Whether an `authenticate` hook set the limits and models, instead of the configuration.
   * @param {Readonly<Access>} access
   */
  isGiven(access) {
    return this.#given.has(access);
  }

  /** Limits of principals without limits of their own. */
  get defaults() {
    return this.#policy.limits;
  }

  /**
   * @param {string} model
   * @returns {import('./prices.js').Price | undefined} undefined: free of charge
   */
  priceOf(model) {
    return this.#policy.prices.get(model) ?? this.#policy.prices.get(ALL);
  }

  /**
   * @param {string} account
   * @returns {bigint | boolean} overdraft limit of a new account of this name; true: unlimited
   */
  overdraftOf(account) {
    return this.#policy.overdrafts.get(account) ?? this.#policy.overdrafts.get(ALL) ?? false;
  }

  /**
   * @param {string} account
   * @returns {boolean} whether the account is configured, by name or as the account of a key
   */
  namesAccount(account) {
    return this.#policy.accounts.has(account);
  }

  /** Tokens reserved for the answer to a job without `max_tokens`. */
  get defaultMaxTokens() {
    return this.#policy.defaultMaxTokens;
  }

  /**
   * All configured budgets that have limits.
   * @returns {Budget[]}
   */
  configuredBudgets() {
    const { principals, organisations, models, endpoints } = this.#policy;
    /** @type {[Budget['scope'], Map<string, {limits: Readonly<Limits>}>][]} */
    const scopes = [
      ['principal', principals],
      ['organisation', organisations],
      ['model', models],
      ['endpoint', endpoints],
    ];
    return scopes
      .flatMap(([scope, named]) =>
        [...named].map(([name, { limits }]) => ({ scope, name, limits })),
      )
      .filter(hasLimits);
  }

  /**
   * The budgets that a job counts against. Budgets without limits are omitted.
   * @param {Readonly<Access>} access of the job's caller
   * @param {string | undefined} model undefined if no model is used
   * @param {string} endpoint of the request
   * @returns {Budget[]}
   */
  budgets({ principal, organisation, limits }, model, endpoint) {
    const { organisations, models, endpoints } = this.#policy;
    /** @type {Budget[]} */
    const all = [{ scope: 'principal', name: principal, limits }];
    const shared = organisation === undefined ? undefined : organisations.get(organisation);
    if (organisation !== undefined && shared !== undefined) {
      all.push({ scope: 'organisation', name: organisation, limits: shared.limits });
    }
    const ofModel = model === undefined ? undefined : models.get(model);
    if (model !== undefined && ofModel !== undefined) {
      all.push({ scope: 'model', name: model, limits: ofModel.limits });
    }
    const ofEndpoint = endpoints.get(endpoint);
    if (ofEndpoint !== undefined) {
      all.push({ scope: 'endpoint', name: endpoint, limits: ofEndpoint.limits });
    }
    return all.filter(hasLimits);
  }
}

/**
 * @param {unknown} options of `gateway.reload()`
 * @returns {unknown} its `access`
 */
export function checkReloadOptions(options) {
  return checkOptions('reload', /** @type {any} */ (options), ['access']).access;
}
