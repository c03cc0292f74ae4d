/** Targets of links in the documentation exist: files, and headings in them. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';

const root = new URL('../../../', import.meta.url);
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(new URL('docs/', root), { recursive: true })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
  'bench/README.md',
];

const read = (url) => readFileSync(url, 'utf8').replace(/^```.*?^```/gms, '');

/** As GitHub has it: lower case, punctuation gone, dashes for spaces. */
const anchorOf = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
    .replaceAll(' ', '-');

test.each(pages)('the links of %s lead somewhere', (page) => {
  const url = new URL(page, root);
  const broken = [...read(url).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path, anchor] = target.split('#');
      const to = path === '' ? url : new URL(path, url);
      if (!existsSync(to)) return true;
      if (anchor === undefined) return false;
      const headings = [...read(to).matchAll(/^#+ (.*)$/gm)].map(([, text]) => anchorOf(text));
      return !headings.includes(anchor);
    });
  expect(broken).toEqual([]);
});
