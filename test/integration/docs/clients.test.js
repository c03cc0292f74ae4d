/** The examples of the pages on other APIs, run as they are printed, with the unmodified clients. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createGateway } from '../../../lib/index.js';

const execute = promisify(execFile);
const docs = new URL('../../../docs/', import.meta.url);
// Inside the package, so that the clients resolve to its development dependencies.
const folder = fileURLToPath(new URL('../../support/package/.cache/', import.meta.url));
const ADDRESS = 'http://127.0.0.1:3000';

/** @type {ReturnType<typeof createGateway>} */
let gateway;
/** @type {any[]} */
let requests;
/** @type {string} */
let url;

/** @param {any} request */
async function* parrot(request) {
  requests.push(request);
  const content = request.prompt ?? request.messages.at(-1).content;
  const prompt = typeof content === 'string' ? content : content.map(({ text }) => text).join('');
  for (const word of ['You', ' said: ', prompt]) yield word;
}

beforeEach(async () => {
  requests = [];
  gateway = createGateway({ provider: parrot, logger: false });
  ({ url } = await gateway.listen({ port: 0 }));
});

afterEach(() => gateway.close({ drainMs: 0 }));

/**
 * @param {string} page
 * @param {string} client the package that the example imports first
 * @returns {Promise<string>} the output of the example
 */
async function run(page, client) {
  const text = readFileSync(new URL(`${page}.md`, docs), 'utf8');
  const examples = [...text.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
  const found = examples.filter((code) => /^import .* from '(.*)';/.exec(code)?.[1] === client);
  expect(found).toHaveLength(1);
  expect(found[0].split(ADDRESS)).toHaveLength(2);
  mkdirSync(folder, { recursive: true });
  const file = `${folder}${page}-${process.pid}.mjs`;
  writeFileSync(file, found[0].replace(ADDRESS, url));
  try {
    const { stdout, stderr } = await execute(process.execPath, [file], { timeout: 60_000 });
    expect(stderr).toBe('');
    return stdout;
  } finally {
    rmSync(file, { force: true });
  }
}

test.each([
  ['openai', 'openai', 'gpt-5', 'You said: Hello'],
  ['ai-sdk', '@ai-sdk/openai-compatible', 'gpt-5', 'You said: Hello'],
  ['anthropic', '@anthropic-ai/sdk', 'claude-sonnet-5-5', 'You said: Hello\n'],
])(
  'the example of docs/%s.md prints the answer',
  async (page, client, model, output) => {
    expect(await run(page, client)).toBe(output);
    expect(requests).toMatchObject([{ model }]);
    expect(requests[0].maxTokens).toBe(page === 'anthropic' ? 1024 : undefined);
  },
  60_000,
);
