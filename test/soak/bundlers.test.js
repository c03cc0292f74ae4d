/** docs/bundlers.md with the packed package and the real bundlers: the files that it prints, built and run. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { launchChromium } from '../browser/chromium.js';
import { client } from '../support/gateway/gateway.js';
import { runIn, startIn } from '../support/package/example-app.js';
import { filesOf } from '../support/package/page-files.js';
import { install, pack, scratchFolder } from '../support/package/packed.js';

const PAGE = 'docs/bundlers.md';
const folder = scratchFolder();
let app;

/** The commands for esbuild, as the page prints them. */
const commands = [
  ...readFileSync(new URL(`../../${PAGE}`, import.meta.url), 'utf8').matchAll(
    /^npx (esbuild .*)$/gm,
  ),
].map(([, command]) => command.split(' '));

const bin = (name) => join('node_modules', name);

/** @type {Record<string, string[][]>} */
const builds = {
  esbuild: commands.map(([, ...args]) => [bin('esbuild/bin/esbuild'), ...args]),
  webpack: [
    [bin('webpack-cli/bin/cli.js')],
    [bin('webpack-cli/bin/cli.js'), '-c', 'webpack.server.config.js'],
  ],
  rollup: [
    [bin('rollup/dist/bin/rollup'), '-c'],
    [bin('rollup/dist/bin/rollup'), '-c', 'rollup.server.config.js'],
  ],
  vite: [
    [bin('vite/bin/vite.js'), 'build', '--outDir', 'dist/vite'],
    [bin('vite/bin/vite.js'), 'build', '-c', 'vite.server.config.js'],
  ],
};

beforeAll(async () => {
  app = await install(folder, [
    await pack(folder),
    ...['esbuild', 'vite', 'rollup', '@rollup/plugin-node-resolve', 'webpack', 'webpack-cli'],
  ]);
  for (const [name, code] of filesOf(PAGE)) {
    mkdirSync(dirname(join(app, name)), { recursive: true });
    writeFileSync(join(app, name), code);
  }
}, 900_000);

afterAll(() => rmSync(folder, { recursive: true }));

/** The built file of an entry; names may carry a hash. */
function builtFile(entry, ...folders) {
  for (const each of folders.filter((name) => existsSync(join(app, 'dist', name)))) {
    const all = readdirSync(join(app, 'dist', each), { recursive: true });
    const found = all.find((name) => new RegExp(`${entry}[^/]*\\.m?js$`).test(name));
    if (found) return join('dist', each, found);
  }
  throw new Error(`no ${entry} in ${folders}`);
}

test('the page has a command of esbuild for the browser and one for the server', () => {
  expect(commands).toHaveLength(2);
});

test.each(Object.keys(builds))(
  '%s: the server bundle serves, and the page bundle streams a job in a browser',
  async (name) => {
    for (const args of builds[name]) await runIn(app, args);
    const server = await startIn(app, [builtFile('server', name, `${name}-server`)], { PORT: '0' });
    try {
      const { submit, read } = client(server.origin);
      const { body } = await submit({ prompt: 'hello' });
      const { text } = await read(body.stream_url);
      expect(text).toContain('A sluice is a gate');
      const page = builtFile(name === 'vite' ? 'index' : 'main', name);
      const code = readFileSync(join(app, page), 'utf8');
      expect(code).not.toMatch(/from ?["'](?:node:|sluice)/);
      const browser = await launchChromium();
      try {
        const tab = await browser.newPage();
        // The page and the gateway have one origin.
        await tab.route(`${server.origin}/`, (route) =>
          route.fulfill({
            contentType: 'text/html',
            body: '<script type=module src=main.js></script>',
          }),
        );
        await tab.route(`${server.origin}/main.js`, (route) =>
          route.fulfill({ contentType: 'text/javascript', body: code }),
        );
        const logged = tab.waitForEvent('console', (message) => message.type() === 'log');
        await tab.goto(`${server.origin}/`);
        expect((await logged).text()).toBe(text);
        expect(await tab.evaluate(() => document.body.textContent)).toBe(text);
      } finally {
        await browser.close();
      }
    } finally {
      await server.stop();
    }
  },
  900_000,
);
