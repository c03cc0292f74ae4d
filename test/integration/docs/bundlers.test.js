/** Bundles of a page and of a server, as docs/bundlers.md has them, made with esbuild. The others: test/soak. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { client } from '../../support/gateway/gateway.js';
import { filesOf } from '../../support/package/page-files.js';
import { startIn } from '../../support/package/example-app.js';

// Inside the package, so that `sluice` resolves to it.
const folder = fileURLToPath(
  new URL(`../../support/package/.cache/bundlers-${process.pid}/`, import.meta.url),
);
const shared = { bundle: true, format: 'esm', absWorkingDir: folder, logLevel: 'silent' };

beforeAll(() => {
  for (const [name, code] of filesOf('docs/bundlers.md')) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), code);
  }
});

afterAll(() => rmSync(folder, { recursive: true }));

test('a server bundle leaves the package out and serves; a page bundle has no import left', async () => {
  const external = { platform: 'node', external: ['sluice'] };
  await build({ ...shared, ...external, entryPoints: ['server.js'], outfile: 'dist/server.mjs' });
  const server = await startIn(folder, ['dist/server.mjs']);
  try {
    const { submit, read } = client(server.origin);
    const { body } = await submit({ prompt: 'hello', max_tokens: 3 });
    expect((await read(body.stream_url)).text).toBe('A sluice is');
    // No import is left for the browser to resolve.
    const { metafile } = await build({
      ...shared,
      entryPoints: ['src/main.js'],
      outfile: 'dist/main.mjs',
      metafile: true,
    });
    const { imports } = Object.values(metafile.outputs)[0];
    expect(imports).toEqual([]);
  } finally {
    await server.stop();
  }
}, 60_000);

test.each(['sluice/client', 'sluice/react', 'sluice/ai'])(
  '%s is bundled for browsers',
  async (entry) => {
    const { outputFiles, warnings } = await build({
      ...shared,
      stdin: { contents: `export * from '${entry}';`, resolveDir: folder },
      external: ['react'],
      platform: 'browser',
      write: false,
    });
    expect(warnings).toEqual([]);
    const imported = [...outputFiles[0].text.matchAll(/^import .* from "([^"]+)"/gm)];
    expect(imported.map(([, from]) => from)).toEqual(entry === 'sluice/react' ? ['react'] : []);
  },
);

test('the configurations of the page load', async () => {
  const names = [...filesOf('docs/bundlers.md').keys()].filter((name) => name.includes('.config.'));
  expect(names).toHaveLength(6);
  const needed = /from '([^'.]+)'/g;
  for (const name of names) {
    const code = readFileSync(join(folder, name), 'utf8');
    if ([...code.matchAll(needed)].length > 0) continue; // needs a bundler, see test/soak
    const { default: config } = await import(pathToFileURL(join(folder, name)).href);
    expect(config).toEqual(expect.objectContaining({ output: expect.anything() }));
  }
});
