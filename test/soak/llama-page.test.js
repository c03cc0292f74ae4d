/** A real engine end to end: `sluice serve` over a tiny GGUF model, eight prompts from Chromium. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { tinyLlama } from '../support/providers/tiny-llama.js';
import { openPage, takePicture, useChromium } from '../browser/chromium.js';

const cli = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
const LENGTH = 60;

let serve;
const chromium = useChromium();
let url = '';
let complaints = '';

beforeAll(async () => {
  const args = ['serve', '--port', '0', '--provider', 'llama', '--model', tinyLlama()];
  serve = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  serve.stderr?.on('data', (chunk) => (complaints += chunk));
  const lines = createInterface({ input: /** @type {any} */ (serve.stdout) });
  const exit = once(serve, 'exit').then(([code]) => {
    throw new Error(`serve ended with ${code} before it listened: ${complaints}`);
  });
  exit.catch(() => {});
  const [line] = await Promise.race([once(lines, 'line'), exit]);
  url = String(/^listening on (http:\/\/\S+)$/.exec(String(line))?.[1]);
});

afterAll(async () => {
  if (!serve || serve.exitCode !== null) return;
  const exit = once(serve, 'exit');
  serve.kill('SIGTERM');
  const [code] = await exit;
  expect(code).toBe(0);
});

test('eight prompts at once become eight whole streams', async () => {
  const { page, faults, close } = await openPage(chromium.browser, `${url}/#jobs`);
  expect(await page.locator('#model option').allInnerTexts()).toEqual(['tiny-llama']);
  const prompts = ['water', 'river', 'gate', 'stream', 'mill', 'sea', 'rain', 'field'];
  await page.locator('input[name=copies][value=lines]').check({ force: true });
  await page.getByLabel('Length, tokens').fill(String(LENGTH));
  await page.getByLabel('Prompt').fill(prompts.map((word) => `Tell of the ${word}`).join('\n'));
  await page.getByTestId('send').click();
  await page.waitForFunction(
    () => document.querySelectorAll('[data-testid=job][data-state=completed]').length === 8,
    undefined,
    { timeout: 90_000 },
  );
  await takePicture(page, 'llama');
  const cards = await page.getByTestId('job').evaluateAll((all) =>
    all.map((card) => ({
      id: card.dataset.jobId,
      prompt: card.querySelector('[data-part=prompt]')?.textContent,
      text: card.querySelector('[data-part=text]')?.textContent,
    })),
  );
  expect(cards.map(({ prompt }) => prompt).sort()).toEqual(
    prompts.map((word) => `Tell of the ${word}`).sort(),
  );
  for (const { id, text } of cards) {
    const job = await (await fetch(`${url}/v1/jobs/${id}`)).json();
    expect(job).toMatchObject({ status: 'completed', model: 'tiny-llama', text });
    expect(job.text.length).toBeGreaterThan(0);
    expect(job.usage.completion_tokens).toBeGreaterThan(0);
    expect(job.usage.completion_tokens).toBeLessThanOrEqual(LENGTH);
  }
  expect(faults).toEqual([]);
  await close();
});
