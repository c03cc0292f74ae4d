/**
 * A resolver for jest that takes the clients' packages from another folder: the tests then run with the
 * versions that are installed there. SLUICE_TEST_CLIENTS is the folder with their `node_modules`.
 */
const { SLUICE_TEST_CLIENTS: folder = '' } = process.env;

/** The packages of the clients, with their subpaths. */
const CLIENT = /^(openai|ai|@ai-sdk\/[^/]+)(\/|$)/;

module.exports = (request, options) =>
  options.defaultResolver(
    request,
    CLIENT.test(request) ? { ...options, basedir: folder } : options,
  );
