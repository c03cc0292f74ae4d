import { contractRoutes } from '../../../lib/http/contract.js';

/** Stands for each dependency: routes are made of it, but not called. */
const anything = new Proxy(() => {}, {
  get: (_, name) => (name === 'then' ? undefined : anything),
  apply: () => anything,
});

const MODULES = [
  'faces/chat/routes.js',
  'faces/embeddings/routes.js',
  'faces/messages/routes.js',
  'faces/responses/routes.js',
  'faces/ui/routes.js',
  'routes/admin.js',
  'routes/audit.js',
  'routes/conversations.js',
  'routes/credits.js',
  'routes/durable.js',
  'routes/health.js',
  'routes/jobs.js',
  'routes/keys.js',
  'routes/kv.js',
  'routes/logs.js',
  'routes/models.js',
  'routes/operations.js',
  'routes/streams.js',
  'routes/webhooks.js',
];

/** @returns {Promise<string[]>} the paths of all modules, loaded directly */
async function pathsOfModules() {
  const paths = [];
  for (const path of MODULES) {
    const module = await import(`../../../lib/http/${path}`);
    const makers = Object.keys(module).filter((name) => name.endsWith('Routes'));
    for (const name of makers) paths.push(...Object.keys(module[name](anything)));
  }
  return paths;
}

const methodsOf = (given) => (typeof given === 'function' ? given() : given);

test('the contract names every path of the modules that are loaded later', async () => {
  const routes = contractRoutes(anything);
  expect(Object.keys(routes).sort()).toEqual((await pathsOfModules()).sort());
});

test.each([false, true])('each path has methods, with several processes: %s', async (isShared) => {
  const deps = new Proxy({}, { get: (_, name) => (name === 'isShared' ? isShared : anything) });
  for (const [path, given] of Object.entries(contractRoutes(deps))) {
    const methods = await methodsOf(given);
    expect([path, Object.keys(methods).length]).not.toEqual([path, 0]);
    for (const { handle } of Object.values(methods)) expect(typeof handle).toBe('function');
  }
});
