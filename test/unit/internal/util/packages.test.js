/** What `import 'sluice'` loads, and what waits until it is needed. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { jest } from '@jest/globals';
import { lazy } from '../../../../lib/internal/util/packages.js';

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

test('the import loads neither the crawler, nor the engine, nor modules of Node for either', async () => {
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
  expect(files).not.toContain('primitives/crawler/crawler.js');
  expect(files).not.toContain('providers/llama/engine.js');
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
