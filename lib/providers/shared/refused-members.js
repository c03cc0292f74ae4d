/** Models whose refusals are remembered; names are chosen by callers. */
const MODELS_MAX = 1000;

/** @type {ReadonlySet<never>} */
const NONE = new Set();

/**
 * Members of requests that a server has refused, by model.
 * @template {string} T
 */
export class RefusedMembers {
  /** Sets that never change. @type {Map<string, ReadonlySet<T>>} the most recently refused last */
  #byModel = new Map();

  /** @param {string} model @returns {ReadonlySet<T>} those so far */
  of(model) {
    return this.#byModel.get(model) ?? NONE;
  }

  /** @param {string} model @param {T} member */
  add(model, member) {
    const known = new Set(this.#byModel.get(model)).add(member);
    this.#byModel.delete(model);
    this.#byModel.set(model, known);
    const [oldest] = this.#byModel.keys();
    if (this.#byModel.size > MODELS_MAX) this.#byModel.delete(oldest);
  }
}
