/** What the tables of options say is in the documentation and in the types. */
import { outdated } from '../../../scripts/docs.mjs';

test('npm run docs has nothing to write', async () => {
  expect([...(await outdated()).keys()]).toEqual([]);
});
