/** The documentation and the types agree with the tables of options. */
import { outdated } from '../../../scripts/docs.mjs';

test('npm run docs has nothing to write', async () => {
  expect([...(await outdated()).keys()]).toEqual([]);
});
