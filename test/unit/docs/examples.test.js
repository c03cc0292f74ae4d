/**
 * The examples of README and docs: JavaScript parses and imports what there is, JSON is JSON, and command lines
 * have the flags that the commands take. The examples of the guides also run: see test/integration/docs.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { SourceTextModule } from 'node:vm';
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

test.each(of('js'))('the JavaScript at %s parses, and imports what is exported', (at, code) => {
  if (!isExcerpt(code)) expect(() => new SourceTextModule(code, { identifier: at })).not.toThrow();
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
