/** The README's example, extracted and run as it is printed. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { launchChromium } from '../../browser/chromium.js';
import { exampleAnswer, exampleCode, startExample } from '../../support/package/readme-example.js';

// Inside the package, so that `sluice` resolves to it.
const folder = fileURLToPath(new URL('../../support/package/.cache/', import.meta.url));
const file = `${folder}readme-${process.pid}.mjs`;
let example;

afterEach(async () => {
  await example?.stop();
  rmSync(file, { force: true });
});

test('the Express example streams a job to a browser', async () => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, exampleCode);
  example = await startExample(file);

  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(example.url);
    await page.waitForFunction(
      (answer) => document.querySelector('pre').textContent === answer,
      exampleAnswer,
    );
  } finally {
    await browser.close();
  }
}, 60_000);
