/**
 * Formats the C++ sources with clang-format, if it is installed.
 *
 * Usage: node scripts/format-native.mjs [--check]
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, root, which } from './lib/run.mjs';

const files = ['native', 'test/native', 'test/fuzz', 'bench/native'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(cc|h)$/.test(file) && !file.startsWith('vendor/'))
    .map((file) => join(folder, file)),
);
const clangFormat = which('clang-format');
if (clangFormat) {
  const flags = process.argv.includes('--check') ? ['--dry-run', '-Werror'] : ['-i'];
  await mustRun(clangFormat, [...flags, ...files]);
} else {
  console.error('sluice: clang-format is not installed; the C++ sources were left alone');
}
