/**
 * What `npm install` does in a clone: see to the build tools, then build the addon. npm runs
 * `prepare` for clones and git dependencies only; the published package has its binary inside.
 */
import { buildAddon } from './build.mjs';
import { buildNeeds } from './lib/needs.mjs';
import { ensure } from './setup.mjs';

process.exitCode = ensure(buildNeeds) && (await buildAddon()) ? 0 : 1;
