/** Paths of a data file and of the files beside it. Synchronous; any thread. */
import fs from 'node:fs';
import path from 'node:path';

const LINKS_MAX = 40;

/**
 * Canonical path of a file, with links resolved: the write-ahead log beside it uses that name.
 * @param {string} file may be missing
 * @returns {string}
 */
export function realPathOf(file) {
  let full = path.resolve(file);
  for (let links = 0; links < LINKS_MAX; links += 1) {
    const folder = path.dirname(full);
    try {
      return fs.realpathSync(full);
    } catch {
      // It is missing, or a link to a missing file.
    }
    try {
      full = path.resolve(folder, fs.readlinkSync(full));
    } catch {
      const parent = fs.existsSync(folder) ? fs.realpathSync(folder) : folder;
      return path.join(parent, path.basename(full));
    }
  }
  return full;
}

/**
 * @param {string} file a data file
 * @param {string} other a path
 * @returns {boolean} whether `other` is the data file or one of its files
 */
export function isPartOf(file, other) {
  const real = realPathOf(file);
  const wanted = realPathOf(other);
  const found = fs.statSync(wanted, { throwIfNoEntry: false, bigint: true });
  return ['', '-wal', '-shm', '-lock'].some((suffix) => {
    const own = fs.statSync(real + suffix, { throwIfNoEntry: false, bigint: true });
    const same = own !== undefined && own.dev === found?.dev && own.ino === found.ino;
    return same || wanted === real + suffix;
  });
}
