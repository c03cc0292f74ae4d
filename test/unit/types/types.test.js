/** The types of KvStore, Ledger and the transport of the AI SDK, as strict TypeScript programs see them. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(`../../../${name}`, import.meta.url));

test.each([
  ['values are typed by the store or by the call, and unknown options are errors', 'kv-ledger.ts'],
  ['the transport of sluice/ai is one of the AI SDK', 'chat-transport.ts'],
])('%s', (_name, file) => {
  const options = [
    ...['--ignoreConfig', '--noEmit', '--strict', '--allowJs', '--checkJs', 'false'],
    ...['--skipLibCheck', '--target', 'es2022', '--module', 'nodenext', '--types', 'node'],
    '--exactOptionalPropertyTypes',
    ...['--lib', 'es2023,es2024.string,dom,dom.iterable,esnext.disposable'],
  ];
  const tsc = path('node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(tsc, [...options, path(`test/support/types/${file}`)], {
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});
