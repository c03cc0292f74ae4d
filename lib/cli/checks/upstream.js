/** Asks each upstream for its models at the start of `sluice serve`. */
import { waitAtMost } from '../../internal/time/wait-at-most.js';

/** Time limit of the start for the answers; later answers are still reported. */
const WAIT_MS = 1000;

/**
 * @param {import('../../providers/shared/types.js').UpstreamProblem} problem
 * @param {import('../../providers/route/options.js').RouteConfig} [route]
 * @returns {string} the advice
 */
function settingFor({ upstream, problem }, route) {
  const index = route?.upstreams.findIndex(({ name }) => name === upstream) ?? -1;
  const config = route?.upstreams[index];
  if (config === undefined) {
    return problem === 'refused' ? 'OPENAI_API_KEY' : '--upstream or OPENAI_BASE_URL';
  }
  if (problem === 'unreachable') return `upstreams[${index}].base_url`;
  return config.api_key_env ?? `upstreams[${index}].${config.api_key ? 'api_key' : 'api_key_env'}`;
}

/**
 * Logs a warning for each upstream that cannot be reached or refuses the credentials: it names the
 * upstream and the setting. Resolves once all have answered, at the latest after a second.
 * @param {import('../../gateway/options.js').GatewayOptions['provider']} provider
 * @param {object} options
 * @param {import('../../providers/route/options.js').RouteConfig} [options.route] of the configuration file
 * @param {import('../../internal/util/logger.js').Logger} options.logger
 */
export async function warnOfUpstreams(provider, { route, logger }) {
  const { check } = /** @type {import('../../providers/shared/types.js').Provider} */ (provider);
  if (check === undefined) return;
  const report = check.call(provider).then((problems) => {
    for (const found of problems) {
      const { upstream, address, problem, detail } = found;
      const set = settingFor(found, route);
      const state = problem === 'refused' ? 'refuses the credentials' : 'cannot be reached';
      const message = `upstream ${upstream} (${address}) ${state}${detail && ` (${detail})`}: set ${set}`;
      logger.warn({ upstream, address, set }, message);
    }
  });
  await waitAtMost(report, WAIT_MS);
}
