/** The direction of imports in lib/: see scripts/lint/layers.mjs and docs/architecture.md. */
import { LIB_LAYERS } from './scripts/lint/layers.mjs';

/** For each folder: it may not import from its own layer's siblings, nor from any layer above. */
const directions = LIB_LAYERS.flatMap((layer, rank) =>
  layer.map((folder) => ({
    name: `direction-of-${folder}`,
    severity: 'error',
    from: { path: `^lib/${folder}/` },
    to: {
      path: LIB_LAYERS.slice(rank)
        .flat()
        .filter((other) => other !== folder)
        .map((other) => `^lib/${other}/`),
    },
  })),
).filter(({ to }) => to.path.length > 0);

export default {
  forbidden: [
    ...directions,
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'lib-apart-from-web',
      comment: 'The page reaches the server over HTTP alone.',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^web/' },
    },
    {
      name: 'web-apart-from-lib',
      severity: 'error',
      from: { path: '^web/' },
      // react is an optional peer.
      to: { path: '^(lib|native|node_modules)/', pathNot: '^node_modules/react/' },
    },
    {
      name: 'no-development-dependency',
      severity: 'error',
      from: { path: '^(lib|web)/' },
      // These are optional peers.
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        pathNot: '^node_modules/(node-llama-cpp|react|@opentelemetry/api)/',
      },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: { path: '^(lib|web)/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^web/(app/)?vendor' },
    enhancedResolveOptions: { conditionNames: ['import', 'node', 'default'] },
  },
};
