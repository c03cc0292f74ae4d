/** A disk of one megabyte for tests of a full disk: a tmpfs, which only root may mount. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { dataFile } from './data-file.js';
import { cleanUp } from '../gateway/gateway.js';

/** @param {string} folder */
function mount(folder) {
  fs.mkdirSync(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'pipe' });
}

function canMount() {
  const folder = join(dirname(dataFile()), 'disk');
  try {
    mount(folder);
    execFileSync('umount', [folder]);
    return true;
  } catch {
    console.warn('skipped: a small tmpfs cannot be mounted here (that needs root)');
    return false;
  }
}

/** `test` if such a disk can be mounted, otherwise `test.skip`. */
export const testWithDisk = canMount() ? test : test.skip;

/** The path of a data file on such a disk, which `stopAll` unmounts. */
export function dataFileOnSmallDisk() {
  const folder = join(dirname(dataFile()), 'disk');
  mount(folder);
  cleanUp(() => execFileSync('umount', [folder]));
  return join(folder, 'data.db');
}

/**
 * Fills the disk of a file to the last byte.
 * @param {string} file
 * @returns {() => void} makes room again
 */
export function fillDiskOf(file) {
  const ballast = join(dirname(file), 'ballast');
  for (let size = 1 << 16; size >= 1; size >>= 1) {
    try {
      for (;;) fs.appendFileSync(ballast, Buffer.alloc(size));
    } catch {
      // The rest does not fit.
    }
  }
  return () => fs.rmSync(ballast);
}
