/** The measured versions, and the machine. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { output, which } from '../../scripts/lib/run.mjs';
import { packageVersion, peerVersion } from '../peers/packages.mjs';

const packages = [
  'express',
  'better-sse',
  'undici',
  'eventsource-parser',
  'openai',
  'lru-cache',
  'rate-limiter-flexible',
  'limiter',
];

/** Packages that may be in the folder of BENCH_PEERS. */
const PEER_PACKAGES = [
  'ai',
  '@ai-sdk/openai-compatible',
  'resumable-stream',
  '@portkey-ai/gateway',
];

/** @returns {Record<string, string>} */
export function versions() {
  const python = 'import fastapi, uvicorn; print(fastapi.__version__, uvicorn.__version__)';
  const [fastapi, uvicorn] = output('/usr/bin/python3', ['-c', python]).split(' ');
  const dpkg = (/** @type {string} */ name) =>
    which('dpkg-query') ? output('dpkg-query', ['-W', '-f', '${Version}', name]) : '';
  const commit = output('git', ['rev-parse', '--short', 'HEAD']) || 'no git';
  return {
    sluice: `${packageVersionOfRoot()} (${commit})`,
    node: process.version,
    ...Object.fromEntries(packages.map((name) => [name, packageVersion(name)])),
    ...Object.fromEntries(PEER_PACKAGES.map((name) => [name, peerVersion(name)])),
    redis: dpkg('redis-server') || 'missing',
    nginx: dpkg('nginx') || 'missing',
    nchan: dpkg('libnginx-mod-nchan') || 'missing',
    fastapi: fastapi || 'missing',
    uvicorn: uvicorn || 'missing',
    compiler: output('c++', ['--version']).split('\n')[0],
    kernel: `${os.type()} ${os.release()}`,
    cpu: `${os.availableParallelism()} x ${os.cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
  };
}

function packageVersionOfRoot() {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}
