/** Data files in separate folders, and copies of their state after a crash. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanUp } from '../gateway/gateway.js';

/** The path of a new data file; `stopAll` removes it. */
export function dataFile() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-data-'));
  cleanUp(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'data.db');
}

/**
 * A copy of a file in use, as a crash at this moment would leave it.
 * @param {string} from
 */
export function afterCrash(from) {
  const to = dataFile();
  for (const suffix of ['', '-wal']) {
    if (existsSync(from + suffix)) copyFileSync(from + suffix, to + suffix);
  }
  return to;
}
