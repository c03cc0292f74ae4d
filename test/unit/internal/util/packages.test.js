/** What `import 'sluice'` loads, and what waits until it is needed. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { later, lazy } from '../../../../lib/internal/util/packages.js';

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

test('the import loads none of the packages that can wait', async () => {
  expect(await packagesAfter(`await import(${JSON.stringify(entry)});`)).toEqual([]);
});

test('the import loads neither crawler nor engine, nor what only some routes need, nor modules of Node for these', async () => {
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
    'gateway/admin-parts.js',
    'http/faces/chat/routes.js',
    'http/fetch.js',
    'http/routes/kv.js',
    'primitives/crawler/crawler.js',
    'providers/llama/engine.js',
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

test('what needs them loads them', async () => {
  const names = await packagesAfter(`
    const { createGateway, providers } = await import(${JSON.stringify(entry)});
    const gateway = createGateway({ provider: providers.demo(), access: { keys: [] } });
    await gateway.listen();
    await gateway.close();
    process.exitCode = 0;`);
  expect(names).toEqual(expect.arrayContaining(['ajv', 'prom-client']));
});

test('a lazy value is made once, and a failure leaves the next call to try again', () => {
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
