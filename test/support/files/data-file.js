/** Data files in a folder of their own, and copies of them as a crash would leave them. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanUp } from '../gateway/gateway.js';

/** The path of a data file that is not there yet; `stopAll` removes it. */
export function dataFile() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-data-'));
  cleanUp(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'data.db');
}

/**
 * What a crash in this moment would leave of a file that is in use.
 * @param {string} from
 */
export function afterCrash(from) {
  const to = dataFile();
  for (const suffix of ['', '-wal']) {
    if (existsSync(from + suffix)) copyFileSync(from + suffix, to + suffix);
  }
  return to;
}
