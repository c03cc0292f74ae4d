/** docs/metrics.md, the alert rules and the dashboard name the metrics that /metrics has, and all of them. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import yaml from 'js-yaml';
import { providers } from '../../../lib/index.js';
import { metrics } from '../../../scripts/docs/metrics.mjs';
import { which } from '../../../scripts/lib/run.mjs';
import { client, start, stopAll } from '../../support/gateway/gateway.js';
import { dataFile } from '../../support/files/data-file.js';

afterEach(stopAll);

const root = new URL('../../../', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');
/** Metrics of prom-client that the dashboard uses. */
const OF_PROCESS = /^(process|nodejs)_/;

/** @returns {Promise<Map<string, string>>} types by name, as a scraper sees them */
async function scraped(options) {
  const { url } = await start({
    ...options,
    data: dataFile(),
    provider: providers.route({
      upstreams: [{ name: 'one', base_url: 'http://127.0.0.1:9', models: ['m'] }],
    }),
  });
  const { body } = await client(url).get('/metrics');
  return new Map(
    [...body.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]),
  );
}

/** @returns {Set<string>} names of metrics in an expression, without the suffixes of histograms */
function namesIn(expression) {
  const names = expression.match(/\b(?:sluice|process|nodejs)_\w+/g) ?? [];
  return new Set(names.map((name) => name.replace(/_(bucket|sum|count)$/, '')));
}

const expressionsOf = (panel) => [
  ...(panel.targets ?? []).map(({ expr }) => expr),
  ...(panel.panels ?? []).flatMap(expressionsOf),
];

test('the page lists each metric of /metrics with its type', async () => {
  // Metrics of Redis are compared if there is a Redis.
  const [page] = read('docs/metrics.md').split('## With Redis');
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\w+) \|/gm)];
  const listed = new Map(rows.map(([, name, type]) => [name, type]));
  expect(rows.length).toBe(listed.size);
  expect([...listed].sort()).toEqual([...(await scraped())].sort());
});

test('alerts and dashboard use metrics of /metrics, with labels that they have', async () => {
  const known = await scraped({ metrics: { processDefaults: true } });
  const { groups } = yaml.load(read('ops/prometheus/alerts.yml'));
  const rules = groups.flatMap((group) => group.rules.map(({ expr }) => expr));
  const dashboard = JSON.parse(read('ops/grafana/sluice.json'));
  const panels = dashboard.panels.flatMap(expressionsOf);
  expect(rules.length).toBeGreaterThan(10);
  expect(panels.length).toBeGreaterThan(20);
  for (const expression of [...rules, ...panels]) {
    for (const name of namesIn(expression)) expect([name, known.has(name)]).toEqual([name, true]);
  }
  const ownLabels = new Map(metrics().map(({ name, labels }) => [name, labels]));
  for (const expression of [...rules, ...panels]) {
    const [name] = namesIn(expression);
    if (name === undefined || OF_PROCESS.test(name)) continue;
    const byLabels = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) =>
      list.split(/,\s*/),
    );
    const allowed = ['instance', 'job', 'le', ...ownLabels.get(name)];
    for (const label of byLabels) {
      expect([name, label, allowed.includes(label)]).toEqual([name, label, true]);
    }
  }
});

test('the dashboard shows every metric', () => {
  const dashboard = JSON.parse(read('ops/grafana/sluice.json'));
  const shown = new Set(
    dashboard.panels.flatMap(expressionsOf).flatMap((one) => [...namesIn(one)]),
  );
  const missing = metrics().filter(({ name }) => !shown.has(name));
  expect(missing).toEqual([]);
});

test('promtool accepts the alert rules, and their unit tests pass', () => {
  if (which('promtool') === undefined) {
    console.warn(
      'promtool is not installed (on Debian: prometheus): the alert rules are not checked',
    );
    return;
  }
  const run = (...args) => execFileSync('promtool', args, { encoding: 'utf8', cwd: root });
  expect(run('check', 'rules', 'ops/prometheus/alerts.yml')).toContain('SUCCESS');
  expect(run('test', 'rules', 'ops/prometheus/alerts.test.yml')).toContain('SUCCESS');
});
