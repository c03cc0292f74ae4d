/** The schemas against that of schemas, which is not loaded where they are used. */
import { Ajv } from 'ajv';
import '../../../../lib/index.js';
import { schemaCheck, schemas } from '../../../../lib/internal/util/request-schema.js';

test('every schema is one, and compiles', () => {
  expect(schemas.length).toBeGreaterThan(25);
  const ajv = new Ajv({ allowUnionTypes: true, strictTypes: false });
  for (const schema of schemas.slice()) {
    expect([schema, ajv.validateSchema(schema), ajv.errors]).toEqual([schema, true, null]);
    expect(typeof schemaCheck(schema)(undefined)).toBe('boolean');
  }
});
