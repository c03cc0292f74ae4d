/** Checks a binary in prebuilds/: loads it, and runs a job of the demo model to its end. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { nativeTarget } from '../../lib/internal/native/target.js';
import { PREBUILDS } from '../prebuild.mjs';
import { root, run } from './run.mjs';

/** A job of the demo model, streamed to its end. */
const SMOKE = `
  import { createGateway, providers } from ${JSON.stringify(join(root, 'lib/index.js'))};
  const gateway = createGateway({ provider: providers.demo({ text: 'it works', tokenIntervalMs: 0 }), logger: false });
  const { id } = await gateway.submit({ prompt: 'Hello' });
  let last;
  for await (const { type } of gateway.stream(id)) last = type;
  await gateway.close();
  if (last !== 'job_complete') throw new Error('the job ended with ' + last);
  console.log(process.platform, process.arch, process.version, last);
`;

/**
 * Runs a job with the packaged binary of a target.
 * @param {string} [target] default: this platform
 * @param {string[]} [node] a command, for an emulated target
 * @throws {Error} if the binary is missing or the job does not complete
 */
export async function smoke(target = nativeTarget(), node = [process.execPath]) {
  const addon = join(PREBUILDS, target, 'sluice.node');
  if (!existsSync(addon)) throw new Error(`there is no ${addon}`);
  const [command, ...args] = node;
  const env = { ...process.env, SLUICE_ADDON_PATH: addon };
  const program = ['--input-type=module', '--eval', SMOKE];
  const { status } = await run(command, [...args, ...program], { env });
  if (status !== 0) throw new Error(`the addon for ${target} does not work`);
}
