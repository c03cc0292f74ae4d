/**
 * The examples of README and docs: JavaScript parses and its imports exist, JSON parses, and command lines
 * have existing flags. The examples of the guides also run: see test/integration/docs.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import * as sluice from '../../../lib/index.js';
import * as client from '../../../web/client.js';

const root = new URL('../../../', import.meta.url);
const pages = [
  'README.md',
  ...readdirSync(new URL('docs/', root), { recursive: true })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** @returns {{language: string, code: string, at: string}[]} */
function blocksOf(page) {
  const text = readFileSync(new URL(page, root), 'utf8');
  return [...text.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(({ 1: language, 2: code, index }) => {
    const line = text.slice(0, index).split('\n').length;
    return { language, code, at: `${page}:${line}` };
  });
}
const blocks = pages.flatMap(blocksOf);
const of = (language) =>
  blocks.filter((block) => block.language === language).map(({ at, code }) => [at, code]);

/** An excerpt may leave out a body, and is then no program. */
const isExcerpt = (code) => /\.\.\.(?=\s*[)};\]]|\s*$)/m.test(code) || code.includes('…');

/** Node's error for each module that does not parse, by its place; one process for all. @returns {Record<string, string>} */
function syntaxErrors(examples) {
  const script = `
    const { SourceTextModule } = require('node:vm');
    const errors = {};
    for (const [at, code] of JSON.parse(require('node:fs').readFileSync(0, 'utf8'))) {
      try {
        new SourceTextModule(code);
      } catch (error) {
        errors[at] = error.message;
      }
    }
    console.log(JSON.stringify(errors));`;
  const args = ['--experimental-vm-modules', '--no-warnings', '-e', script];
  return JSON.parse(execFileSync(process.execPath, args, { input: JSON.stringify(examples) }));
}

test('the JavaScript parses', () => {
  const whole = of('js').filter(([, code]) => !isExcerpt(code));
  expect(whole.length).toBeGreaterThan(20);
  expect(syntaxErrors([...whole, ['broken', 'import {']])).toEqual({ broken: expect.any(String) });
});

test.each(of('js'))('the JavaScript at %s imports what is exported', (_at, code) => {
  const modules = { sluice, 'sluice/client': client, '/client.js': client };
  for (const [, names, from] of code.matchAll(/import \{([^}]*)\} from '([^']+)'/g)) {
    if (!Object.hasOwn(modules, from)) continue;
    for (const name of names
      .split(',')
      .map((each) => each.trim())
      .filter(Boolean)) {
      expect([name, name in modules[from]]).toEqual([name, true]);
    }
  }
});

test.each(of('json'))('the JSON at %s is JSON', (_at, code) => {
  if (!isExcerpt(code)) JSON.parse(code);
});

const commands = of('sh').flatMap(([at, code]) => {
  const lines = code.replaceAll('\\\n', ' ').split('\n');
  return lines.flatMap((line) => {
    const [, name, rest] = /\bsluice ([a-z]+)\b([^#|>]*)/.exec(line) ?? [];
    return name === undefined || /^(docker|npm install)/.test(line)
      ? []
      : [[`${at} ${line.trim()}`, name, rest]];
  });
});

/** Commands in the middle of a text, such as `sluice serve --data FILE`. */
const inline = pages.flatMap((page) => {
  const text = readFileSync(new URL(page, root), 'utf8').replace(/^```.*?^```/gms, '');
  return [...text.matchAll(/`(?:[A-Z_]+=\S+ )?(?:npx )?sluice ([a-z]+)((?: [^`]*)?)`/g)].map(
    ([, name, rest]) => [`${page}: sluice ${name}${rest}`, name, rest],
  );
});

test.each([...commands, ...inline])('%s', async (_at, name, rest) => {
  const { flags } = await import(`../../../lib/cli/${name}.js`);
  const names = [...rest.matchAll(/(?<=\s)--([a-z-]+)/g)].map(([, flag]) => flag);
  expect(names.filter((flag) => flag !== 'help' && !Object.hasOwn(flags, flag))).toEqual([]);
});
