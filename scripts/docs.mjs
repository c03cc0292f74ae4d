/**
 * Generates the tables in docs/ and the types in lib/ from the tables of options and from the metrics. They are
 * between markers; the text around them is unchanged.
 *
 * Usage: node scripts/docs.mjs [--check]   --check writes nothing; exit status 1 if a file is not current.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMain, root } from './lib/run.mjs';
import { flagTable, optionTable } from './docs/tables.mjs';
import { metricTable } from './docs/metrics.mjs';
import { typedef } from './docs/typedefs.mjs';
import { CLOSE_OPTIONS, GATEWAY_OPTIONS } from '../lib/gateway/option-table.js';
import { REDIS_OPTIONS } from '../lib/cluster/options.js';
import { LISTEN_OPTIONS } from '../lib/http/listen-options.js';
import {
  ANTHROPIC_OPTIONS,
  DEMO_OPTIONS,
  LLAMA_OPTIONS,
  OPENAI_OPTIONS,
} from '../lib/providers/option-table.js';

/** Commands whose flags have a table in docs/command-line.md. */
const COMMANDS = ['serve', 'run', 'crawl', 'logs', 'export', 'key', 'doctor', 'conformance'];

/**
 * Replaces the text between two markers.
 * @param {string} text
 * @param {string} start
 * @param {string} end
 * @param {string} content
 */
function between(text, start, end, content) {
  const from = text.indexOf(start);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`there is no "${start}" ... "${end}"`);
  return text.slice(0, from + start.length) + content + text.slice(to);
}

/** @returns {Promise<Map<string, string>>} path to text, of every file with generated parts */
export async function documents() {
  /** @type {Map<string, string>} */
  const texts = new Map();
  /** @type {(path: string, start: string, end: string, content: string) => void} */
  const put = (path, start, end, content) => {
    const text = texts.get(path) ?? readFileSync(join(root, path), 'utf8');
    try {
      texts.set(path, between(text, start, end, content));
    } catch (/** @type {any} */ error) {
      throw new Error(`${path}: ${error.message}`, { cause: error });
    }
  };
  /** @type {(path: string, name: string, table: string) => void} */
  const putTable = (path, name, table) => {
    put(path, `<!-- table: ${name} -->\n`, '<!-- end of table -->', `\n${table}\n`);
  };
  /** @type {(path: string, text: string) => void} */
  const putTypes = (path, text) => {
    const [, name] = /@typedef \{object\} (\w+)/.exec(text) ?? [];
    put(path, `// types: ${name}\n`, '// end of types', text);
  };
  putTable('docs/javascript.md', 'createGateway', optionTable(GATEWAY_OPTIONS));
  putTable('docs/javascript.md', 'redis', optionTable(REDIS_OPTIONS));
  putTable('docs/javascript.md', 'listen', optionTable(LISTEN_OPTIONS));
  putTable('docs/javascript.md', 'close', optionTable(CLOSE_OPTIONS));
  putTable('docs/javascript.md', 'providers.demo', optionTable(DEMO_OPTIONS));
  putTable('docs/javascript.md', 'providers.openai', optionTable(OPENAI_OPTIONS));
  putTable('docs/javascript.md', 'providers.anthropic', optionTable(ANTHROPIC_OPTIONS));
  putTable('docs/javascript.md', 'providers.llama', optionTable(LLAMA_OPTIONS));
  putTable('docs/metrics.md', 'metrics', metricTable());
  for (const command of COMMANDS) {
    // doctor also accepts the flags of serve; its table has those that it checks.
    const { shown, flags } = await import(`../lib/cli/${command}.js`);
    putTable('docs/command-line.md', command, flagTable(shown ?? flags));
  }
  putTypes('lib/gateway/options.js', typedef('GatewayOptions', GATEWAY_OPTIONS));
  const values = GATEWAY_OPTIONS.filter(
    ({ type, path }) => type !== 'other' && path !== 'logs.files',
  );
  putTypes('lib/jobs/settings.js', typedef('OptionValues', values, { filledIn: true }));
  const ofRedis = REDIS_OPTIONS.map((row) => ({ ...row, path: row.path.replace('redis.', '') }));
  putTypes('lib/cluster/options.js', typedef('RedisOptions', ofRedis));
  putTypes('lib/http/listen-options.js', typedef('ListenOptions', LISTEN_OPTIONS));
  const providers = 'lib/providers/option-table.js';
  putTypes(providers, typedef('DemoOptions', DEMO_OPTIONS));
  putTypes(providers, typedef('OpenAiOptions', OPENAI_OPTIONS));
  putTypes(providers, typedef('AnthropicOptions', ANTHROPIC_OPTIONS));
  putTypes(providers, typedef('LlamaOptions', LLAMA_OPTIONS));
  return texts;
}

/** @returns {Promise<Map<string, string>>} outdated files */
export async function outdated() {
  const texts = await documents();
  return new Map(
    [...texts].filter(([path, text]) => readFileSync(join(root, path), 'utf8') !== text),
  );
}

if (isMain(import.meta.url)) {
  for (const [path, text] of await outdated()) {
    if (process.argv.includes('--check')) {
      console.error(`${path} is not current: run npm run docs`);
      process.exitCode = 1;
    } else {
      writeFileSync(join(root, path), text);
      console.log(`${path} written`);
    }
  }
}
