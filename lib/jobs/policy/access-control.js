/**
 * Who may do what, now: the policy in force, and its exchange while the gateway runs. Main thread.
 *
 * A request sees one policy, from its authentication on: what `reload` swaps in is for those that
 * come later, and streams that run go on.
 */
import { createHash } from 'node:crypto';
import { checkLimits, compileAccess, completeAccess, ANONYMOUS } from './config.js';
import { checkBoolean, checkOptions, checkString } from '../../internal/util/validate.js';
import { ALL } from './prices.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/** @typedef {import('./config.js').Access} Access */
/** @typedef {import('./config.js').Limits} Limits */
/** @typedef {import('./config.js').Policy} Policy */

/**
 * Something that is counted: what one principal, one organisation, or all users of one model or one
 * endpoint have used. `name` is unique within its `scope`.
 * @typedef {object} Budget
 * @property {'principal' | 'organisation' | 'model' | 'endpoint'} scope
 * @property {string} name
 * @property {Readonly<Limits>} limits at least one
 */

/**
 * What an `authenticate` hook may give in place of a principal's name.
 * @typedef {object} GivenAccess
 * @property {string} principal
 * @property {string} [organisation] one that is configured brings its limits and models
 * @property {boolean} [admin] default false
 * @property {string} [account] that it pays from; default its organisation's, else its own
 * @property {string[]} [models] those that may be used; default all
 * @property {Limits} [limits] each one given replaces the default of that name
 */

/** @param {Budget} budget */
const hasLimits = ({ limits }) => Object.keys(limits).length > 0;

/** @param {unknown} value */
const isStrings = (value) =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {string} that is no other's once it is UTF-8, as in the data file
 */
function checkName(name, value) {
  const checked = checkString(name, value);
  if (!checked.isWellFormed()) throw rangeError(`${name} holds half of a surrogate pair`);
  return checked;
}

/** See the head of this file. Lives as long as its gateway. */
export class AccessControl {
  #policy;
  #corsOrigins;
  /** @type {WeakSet<Readonly<Access>>} */
  #given = new WeakSet();

  /**
   * @param {Readonly<Policy>} policy
   * @param {readonly string[]} [corsOrigins] where the policy names none
   */
  constructor(policy, corsOrigins = []) {
    this.#policy = policy;
    this.#corsOrigins = corsOrigins;
  }

  /** Whether callers need a key. */
  get keyed() {
    return this.#policy.keyed;
  }

  /** Whose pages may call: origins, or `*`. */
  get corsOrigins() {
    return this.#policy.corsOrigins ?? this.#corsOrigins;
  }

  /** How addresses of streams are signed. */
  get streamUrls() {
    return this.#policy.streamUrls;
  }

  /**
   * Puts another configuration in force, as a whole or not at all.
   * @param {unknown} config
   * @throws {TypeError | RangeError} naming what is wrong; everything stays as it was
   */
  reload(config) {
    const policy = compileAccess('access', config);
    // A file emptied by accident must not open the door; an empty list closes it.
    if (this.#policy.keyed && !policy.keyed) {
      throw rangeError('access.keys may not be left out while the gateway runs with keys');
    }
    this.#policy = policy;
  }

  /**
   * @param {string} key as Node reads headers: each character is a byte that the caller sent
   * @returns {Readonly<Access> | undefined} undefined: no such key
   */
  byKey(key) {
    return this.#policy.find(createHash('sha256').update(key, 'latin1').digest());
  }

  /**
   * @param {string} principal
   * @returns {Readonly<Access> | undefined} of the key with this id
   */
  configured(principal) {
    return this.#policy.principals.get(principal);
  }

  /**
   * @param {string} principal
   * @returns {Readonly<Access>} of the key with this id, else what is so by default
   */
  of(principal) {
    if (principal === ANONYMOUS) return this.#policy.anonymous;
    return this.configured(principal) ?? completeAccess(this.#policy, { principal });
  }

  /**
   * What an `authenticate` hook gave.
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
   * Whether an `authenticate` hook said what may be used, and not the configuration.
   * @param {Readonly<Access>} access
   */
  isGiven(access) {
    return this.#given.has(access);
  }

  /** Limits of principals that have none of their own. */
  get defaults() {
    return this.#policy.limits;
  }

  /**
   * @param {string} model
   * @returns {import('./prices.js').Price | undefined} undefined: it costs nothing
   */
  priceOf(model) {
    return this.#policy.prices.get(model) ?? this.#policy.prices.get(ALL);
  }

  /**
   * @param {string} account
   * @returns {bigint | boolean} how far below zero a new account of this name may go; true: without limit
   */
  overdraftOf(account) {
    return this.#policy.overdrafts.get(account) ?? this.#policy.overdrafts.get(ALL) ?? false;
  }

  /**
   * @param {string} account
   * @returns {boolean} whether it is configured, by its own name or as what a key pays from
   */
  namesAccount(account) {
    return this.#policy.accounts.has(account);
  }

  /** What is reserved for the answer to a job that does not say. */
  get defaultMaxTokens() {
    return this.#policy.defaultMaxTokens;
  }

  /**
   * Everything that is configured by its name and has limits.
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
   * Everything that a job counts against. Those without a limit are left out.
   * @param {Readonly<Access>} access whose job it is
   * @param {string | undefined} model undefined where no model is asked
   * @param {string} endpoint by which it came
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
