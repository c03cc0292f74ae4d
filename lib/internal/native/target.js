/**
 * Names the platform of an addon: `linux-x64`, `linux-arm64-musl`, `darwin-arm64`.
 */
import { closeSync, openSync, readSync } from 'node:fs';

/** A program names its dynamic linker within its first bytes, right after its program headers. */
const INTERPRETER_BYTES_MAX = 4096;

/**
 * Whether a Linux program runs on musl (Alpine) and not on glibc. Reading the program is much
 * faster than `process.report`, and exact where both libraries are installed.
 * @param {string} [program] default: the running node
 */
export function usesMusl(program = process.execPath) {
  const head = Buffer.alloc(INTERPRETER_BYTES_MAX);
  const file = openSync(program, 'r');
  try {
    readSync(file, head);
  } finally {
    closeSync(file);
  }
  return head.includes('/ld-musl-');
}

/** The platform of this process, in the format of the folder names in prebuilds/. */
export function nativeTarget() {
  const musl = process.platform === 'linux' && usesMusl() ? '-musl' : '';
  return `${process.platform}-${process.arch}${musl}`;
}
