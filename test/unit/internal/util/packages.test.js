/** The modules that `import 'sluice'` loads at once, and those loaded on first use. */
import { execFile } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { lateModule, later, lazy, provideModules } from '../../../../lib/internal/util/packages.js';

const entry = new URL('../../../../lib/index.js', import.meta.url).href;

/** Names of the packages whose CommonJS files a process has loaded after running a script. */
async function packagesAfter(source) {
  const script = `
    import { createRequire } from 'node:module';
    ${source}
    const files = Object.keys(createRequire(${JSON.stringify(entry)}).cache);
    const names = files.flatMap((file) => /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(file)?.[1] ?? []);
    console.log(JSON.stringify([...new Set(names)]));`;
  const args = ['--input-type=module', '-e', script];
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout);
}

test('the import loads no package that is loaded on first use', async () => {
  expect(await packagesAfter(`await import(${JSON.stringify(entry)});`)).toEqual([]);
});

test('the import loads no crawler, no engine, no modules that only some routes need, and no modules of Node for these', async () => {
  const script = `
    await import(${JSON.stringify(entry)});
    console.log(JSON.stringify(process.moduleLoadList));`;
  const args = ['--input-type=module', '-e', script];
  const options = { env: { ...process.env, NODE_DEBUG: 'esm' }, maxBuffer: 1e8 };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, options);
  const files = [...stderr.matchAll(/file:\/\/[^'\s]*\/lib\/([^'\s]+\.js)/g)].map(
    ([, file]) => file,
  );
  expect(files).toContain('gateway/gateway.js');
  for (const file of [
    'cluster/cluster.js',
    'gateway/admin-parts.js',
    'gateway/assembly.js',
    'gateway/http.js',
    'http/faces/chat/routes.js',
    'http/fetch.js',
    'http/routes/kv.js',
    'preload.js',
    'primitives/crawler/crawler.js',
    'providers/llama/engine.js',
    'providers/openai/provider.js',
    'services/embeddings/service.js',
    'services/keys/service.js',
  ]) {
    expect(files).not.toContain(file);
  }
  const modules = JSON.parse(stdout);
  for (const name of ['v8', 'worker_threads', 'zlib']) {
    expect(modules).not.toContain(`NativeModule ${name}`);
  }
});

test('a call that needs them loads them', async () => {
  const names = await packagesAfter(`
    const { createGateway, providers } = await import(${JSON.stringify(entry)});
    const gateway = createGateway({ provider: providers.demo(), access: { keys: [] } });
    await gateway.listen();
    await gateway.close();
    process.exitCode = 0;`);
  expect(names).toEqual(expect.arrayContaining(['ajv', 'prom-client']));
  // Only the metrics of the process need it, and they are added once the server listens.
  expect(names).not.toContain('@opentelemetry/api');
});

const lib = fileURLToPath(new URL('../../../../lib/', import.meta.url));

/** The modules that files of the library load by `lateModule`, except for those of the command line. */
function lateModules() {
  const files = readdirSync(lib, { recursive: true }).filter((file) => file.endsWith('.js'));
  return files.flatMap((file) => {
    if (file.startsWith('cli/')) return [];
    const source = readFileSync(join(lib, file), 'utf8');
    const calls = source.matchAll(
      /lateModule\(\s*import\.meta\.url,\s*\(require\) =>\s*require\('([^']+)'\)/g,
    );
    return Array.from(calls, ([, path]) => join(dirname(file), path));
  });
}

test('the list for loaders that cannot wait has every module that is loaded late', () => {
  const source = readFileSync(join(lib, 'preload.js'), 'utf8');
  const listed = Array.from(source.matchAll(/^ {2}'\.\/([^']+)':/gm), ([, path]) => path);
  expect(lateModules()).toContain('gateway/assembly.js');
  expect(listed.sort()).toEqual([...new Set(lateModules())].sort());
});

test('without a synchronous loader of modules the import has loaded all of them', async () => {
  const script = `
    const { createGateway, providers } = await import(${JSON.stringify(entry)});
    const gateway = createGateway({ provider: providers.demo(), logger: false });
    await gateway.close();
    console.log(typeof providers.openai({ baseUrl: 'http://127.0.0.1:9' }).relay);`;
  const args = ['--no-experimental-require-module', '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toBe('function\n');
});

test('require() and import load the same modules', async () => {
  const script = `
    const required = require('sluice');
    import('sluice').then((imported) => {
      const names = Object.keys(imported);
      console.log(JSON.stringify([names.every((name) => imported[name] === required[name]), names]));
    });`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { cwd: lib });
  const [same, names] = JSON.parse(stdout);
  expect(same).toBe(true);
  expect(names).toEqual(
    expect.arrayContaining(['Gateway', 'createGateway', 'openRedis', 'providers']),
  );
});

test('a module that imports it can itself be loaded by require()', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'));
  try {
    const file = join(folder, 'app.mjs');
    writeFileSync(file, "export { createGateway } from 'sluice';");
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(dirname(lib), join(folder, 'node_modules/sluice'));
    const script = `console.log(typeof require(${JSON.stringify(file)}).createGateway)`;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
    expect(stdout).toBe('function\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a late module is loaded by the first call that needs it, and a failure by each', () => {
  const load = jest
    .fn()
    .mockImplementationOnce(() => {
      throw new Error('EMFILE');
    })
    .mockImplementation((require) => require('./provided.js'));
  provideModules(import.meta.url, { './provided.js': 'module' });
  const module = lateModule(import.meta.url, load);
  expect(load).not.toHaveBeenCalled();
  expect(module).toThrow('EMFILE');
  expect([module(), module()]).toEqual(['module', 'module']);
  expect(load).toHaveBeenCalledTimes(2);
});

test('a lazy value is created once; after a failure the next call tries again', () => {
  const make = jest
    .fn()
    .mockImplementationOnce(() => {
      throw new Error('not yet');
    })
    .mockReturnValue(undefined);
  const value = lazy(make);
  expect(make).not.toHaveBeenCalled();
  expect(value).toThrow('not yet');
  expect([value(), value()]).toEqual([undefined, undefined]);
  expect(make).toHaveBeenCalledTimes(2);
});

test('modules that are loaded later are loaded once each, one after the other', async () => {
  const events = [];
  let opened;
  const first = later(async () => {
    events.push('first begins');
    await new Promise((resolve) => (opened = resolve));
    events.push('first ends');
    return 1;
  });
  const second = later(async () => events.push('second begins'));
  const all = [first(), second(), first()];
  await new Promise(setImmediate);
  expect(events).toEqual(['first begins']);
  opened();
  expect(await Promise.all(all)).toEqual([1, 3, 1]);
  expect(events).toEqual(['first begins', 'first ends', 'second begins']);
});

test('a module that cannot be loaded fails its call alone', async () => {
  const load = jest.fn().mockRejectedValueOnce(new Error('EMFILE')).mockResolvedValue('module');
  const module = later(load);
  await expect(module()).rejects.toThrow('EMFILE');
  expect(await module()).toBe('module');
  expect(await module()).toBe('module');
  expect(load).toHaveBeenCalledTimes(2);
});
