/**
 * The value of a metric by its name with its labels; undefined if it is not reported.
 * @param {{get: (path: string, options?: object) => Promise<{body: any}>}} client
 * @param {string} name
 * @param {Record<string, string>} [headers]
 */
export async function metric({ get }, name, headers) {
  const { body } = await get('/metrics', { headers });
  const line = body.split('\n').find((text) => text.startsWith(`${name} `));
  return line && Number(line.split(' ').at(-1));
}
