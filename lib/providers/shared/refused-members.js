/** Models whose refusals are remembered; names are chosen by callers. */
const MODELS_MAX = 1000;

/**
 * Members of requests that a server has refused, by model.
 * @template {string} T
 */
export class RefusedMembers {
  /** @type {Map<string, Set<T>>} the most recently refused last */
  #byModel = new Map();

  /** @param {string} model @returns {Set<T>} a copy */
  of(model) {
    return new Set(this.#byModel.get(model));
  }

  /** @param {string} model @param {T} member */
  add(model, member) {
    const known = this.#byModel.get(model) ?? new Set();
    known.add(member);
    this.#byModel.delete(model);
    this.#byModel.set(model, known);
    const [oldest] = this.#byModel.keys();
    if (this.#byModel.size > MODELS_MAX) this.#byModel.delete(oldest);
  }
}
