/**
 * Counts of answers by route and status, until they are read: each update of a metric with labels builds a string
 * from them. Main thread; used by GatewayMetrics.
 */
export class AnswerCounts {
  /** @type {Map<string, Map<number, number>>} by route, then by status */
  #counts = new Map();

  /**
   * @param {string} route
   * @param {number} status
   */
  add(route, status) {
    let ofRoute = this.#counts.get(route);
    if (ofRoute === undefined) this.#counts.set(route, (ofRoute = new Map()));
    ofRoute.set(status, (ofRoute.get(status) ?? 0) + 1);
  }

  /**
   * @param {(labels: {route: string, status: number}, count: number) => void} take called for each count that is
   *   not 0
   */
  drain(take) {
    for (const [route, ofRoute] of this.#counts) {
      for (const [status, count] of ofRoute) take({ route, status }, count);
    }
    this.#counts.clear();
  }
}
