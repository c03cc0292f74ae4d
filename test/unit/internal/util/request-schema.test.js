/** The schemas against that of schemas, which is not loaded where they are used. */
import { readdirSync } from 'node:fs';
import { Ajv } from 'ajv';
import '../../../../lib/index.js';
import { schemaCheck, schemas } from '../../../../lib/internal/util/request-schema.js';

/** Folders of routes, which a gateway loads at their first request. */
const FOLDERS = ['routes', 'faces'].map(
  (name) => new URL(`../../../../lib/http/${name}/`, import.meta.url),
);

async function loadRoutes() {
  for (const folder of FOLDERS) {
    for (const name of readdirSync(folder, { recursive: true })) {
      if (name.endsWith('.js')) await import(new URL(name, folder).href);
    }
  }
}

test('every schema is one, and compiles', async () => {
  await loadRoutes();
  expect(schemas.length).toBeGreaterThan(25);
  const ajv = new Ajv({ allowUnionTypes: true, strictTypes: false });
  for (const schema of schemas.slice()) {
    expect([schema, ajv.validateSchema(schema), ajv.errors]).toEqual([schema, true, null]);
    expect(typeof schemaCheck(schema)(undefined)).toBe('boolean');
  }
});
