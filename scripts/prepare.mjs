/**
 * Runs at `npm install` in a clone: installs the build tools, then builds the addon. npm runs
 * `prepare` for clones and git dependencies only; the published package contains its binary.
 */
import { buildAddon } from './build.mjs';
import { buildNeeds, fasterBuildNeeds, redisBuildNeeds } from './lib/needs.mjs';
import { FOR_REDIS, ensure, prefer } from './setup.mjs';

const ready = ensure(buildNeeds);
if (ready) {
  prefer(redisBuildNeeds, FOR_REDIS);
  prefer(fasterBuildNeeds);
}
process.exitCode = ready && (await buildAddon()) ? 0 : 1;
