/** State of the gateway for administrators, besides jobs, in the JSON format of answers. */

/** Budgets, workflows and crawls in one answer; each budget needs a call of Redis, if there is one. */
const BUDGETS_MAX = 200;
const SHARED_BUDGETS_MAX = 50;
const OPERATIONS_MAX = 20;
const ERRORS_MAX = 10;
/** Conversations that are read for a list, which shows the latest. */
const CONVERSATIONS_SCANNED = 5000;
const CONVERSATIONS_MAX = 50;

/**
 * The remaining amount of each configured limit.
 * @param {StateDeps} deps
 * @returns {Promise<{data: object[], omitted: number}>} `omitted`: number of budgets that are not shown; all of
 *   them while Redis does not answer
 */
async function limitsOf({ access, reservations, cluster }) {
  const budgets = access.configuredBudgets();
  const shown = budgets.slice(0, cluster === undefined ? BUDGETS_MAX : SHARED_BUDGETS_MAX);
  try {
    const data = await Promise.all(
      shown.map(async (budget) => {
        const entries = await reservations.peekBudget(budget);
        return {
          ...{ scope: budget.scope, name: budget.name },
          entries: entries.map(({ dimension, limit, remaining }) => ({
            ...{ dimension, limit },
            remaining: Math.floor(remaining),
          })),
        };
      }),
    );
    return { data, omitted: budgets.length - data.length };
  } catch (/** @type {any} */ error) {
    if (error?.code !== 'ERR_STORAGE_UNAVAILABLE') throw error;
    return { data: [], omitted: budgets.length };
  }
}

/**
 * @param {import('../operations/directory.js').OperationDirectory} directory
 * @param {import('../operations/operation.js').OperationKind} kind
 */
async function operationsOf(directory, kind) {
  const latest = await directory.latest(kind, OPERATIONS_MAX);
  return latest.map(({ id, principal, status, attempt, createdAtMs, counts }) => ({
    id,
    key: principal,
    status,
    attempt,
    created_at: createdAtMs / 1000,
    ...(kind === 'workflow' && { counts }),
  }));
}

/**
 * @param {import('../../primitives/logs/log-parser.js').TopError} error
 */
function errorOf({ template, count, firstMs, lastMs, sample }) {
  return { template, count, first_at: firstMs / 1000, last_at: lastMs / 1000, sample };
}

/**
 * @typedef {object} StateDeps
 * @property {import('../../jobs/policy/access-control.js').AccessControl} access
 * @property {{peekBudget: import('../../jobs/rate-limits/reservations.js').Reservations['peekBudget']}}
 *   reservations in force
 * @property {import('../operations/directory.js').OperationDirectory} operationDirectory
 * @property {import('../conversations/service.js').Conversations} conversations
 * @property {import('../error-logs/service.js').LogService} logs
 * @property {import('../webhooks/service.js').Webhooks} webhooks
 * @property {import('../../providers/shared/types.js').Provider} provider
 * @property {import('../../cluster/cluster.js').Cluster} [cluster]
 */

/** @param {StateDeps} deps */
export async function stateOf(deps) {
  const { operationDirectory, logs, webhooks, provider, cluster } = deps;
  return {
    limits: await limitsOf(deps),
    workflows: await operationsOf(operationDirectory, 'workflow'),
    crawls: await operationsOf(operationDirectory, 'crawl'),
    errors: logs.topErrors({ k: ERRORS_MAX }).map(errorOf),
    webhooks: webhooks.figures,
    upstreams: (provider.figures?.() ?? []).map(({ name, calls, inFlight, open, failures }) => ({
      ...{ name, calls, in_flight: inFlight, open },
      failures: [...failures.values()].reduce((sum, count) => sum + count, 0),
    })),
    cluster:
      cluster === undefined
        ? null
        : {
            state: cluster.state,
            process: cluster.process,
            members: cluster.members.names,
            silent_ms: Math.round(cluster.silentMs),
          },
  };
}

/**
 * @param {import('../conversations/service.js').Conversations} conversations
 */
export async function conversationsOf(conversations) {
  const options = { limit: CONVERSATIONS_MAX, scanMax: CONVERSATIONS_SCANNED };
  const { data, truncated } = await conversations.recent(options);
  return {
    data: data.map(
      ({ id, owner, title, createdAt, updatedAt, expiresAt, messageCount, bytes, ...rest }) => ({
        ...{ id, key: owner, title: title ?? null, created_at: createdAt, updated_at: updatedAt },
        ...{ expires_at: expiresAt, message_count: messageCount, bytes },
        busy_job_id: rest.busyJobId ?? null,
      }),
    ),
    truncated,
  };
}
