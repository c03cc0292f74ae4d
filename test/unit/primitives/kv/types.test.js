/** The types of KvStore and Ledger, as a strict TypeScript program sees them. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(`../../../../${name}`, import.meta.url));

test('values are typed by the store or by the call, and unknown options are errors', () => {
  const options = [
    ...['--ignoreConfig', '--noEmit', '--strict', '--allowJs', '--checkJs', 'false'],
    ...['--skipLibCheck', '--target', 'es2022', '--module', 'nodenext', '--types', 'node'],
    ...['--lib', 'es2023,es2024.string,dom,dom.iterable,esnext.disposable'],
  ];
  const tsc = path('node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(tsc, [...options, path('test/support/types/kv-ledger.ts')], {
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});
