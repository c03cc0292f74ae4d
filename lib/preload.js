/**
 * Every module that `lateModule` may be asked for, for loaders that cannot load one synchronously: see index.js.
 */
import { provideModules } from './internal/util/packages.js';
import * as anthropic from './providers/anthropic/provider.js';
import * as assembly from './gateway/assembly.js';
import * as clusterParts from './gateway/cluster-parts.js';
import * as crawler from './primitives/crawler/crawler.js';
import * as http from './gateway/http.js';
import * as llama from './providers/llama/provider.js';
import * as openai from './providers/openai/provider.js';
import * as route from './providers/route/provider.js';
import * as server from './http/server.js';
import * as sharedRedis from './cluster/shared-redis.js';
import * as shutdown from './gateway/shutdown.js';

provideModules(import.meta.url, {
  './cluster/shared-redis.js': sharedRedis,
  './gateway/assembly.js': assembly,
  './gateway/cluster-parts.js': clusterParts,
  './gateway/http.js': http,
  './gateway/shutdown.js': shutdown,
  './http/server.js': server,
  './primitives/crawler/crawler.js': crawler,
  './providers/anthropic/provider.js': anthropic,
  './providers/llama/provider.js': llama,
  './providers/openai/provider.js': openai,
  './providers/route/provider.js': route,
});
