/**
 * A strict program of a user: server and client, every export by name, without @types/express.
 * The packaging test compiles it against the installed tarball; it is never run.
 */
import { createServer } from 'node:http';
import {
  HttpError,
  KvStore,
  LruTtlCache,
  Pipeline,
  TaskGraph,
  createGateway,
  crawl,
  openRedis,
  providers,
} from 'sluice';
import type {
  CrawlEvent,
  CrawlItem,
  GatewayOptions,
  Job as ServerJob,
  JobEvent,
  JobRequest,
  Provider,
  ProviderEnd,
  ProviderRequest,
  RouteOptions,
  StreamEvent,
  WorkflowEvent,
} from 'sluice';
import { runConformance, startFixtureUpstream, toJunit } from 'sluice/conformance';
import type { ConformanceOptions, Report, RuleResult } from 'sluice/conformance';
import { Client, Job, SluiceClientError, createClient } from 'sluice/client';
import type {
  ClientOptions,
  ConnectionState,
  Conversation,
  ConversationMessage,
  JobRequest as ClientJobRequest,
  JobEventName,
  JobEvents,
  JobMetrics,
  JobResult,
  JobStatus,
  JobUsage,
  JobView,
} from 'sluice/client';

/** Accepts exactly one type: an `any` is not equal to it. */
type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function holds<_T extends true>(): void {}

const gateway = createGateway({
  provider: async function* (request, { signal }) {
    holds<Equal<typeof request, ProviderRequest>>();
    holds<Equal<typeof signal, AbortSignal>>();
    yield `You said: ${request.prompt}`;
    return { reason: 'length', usage: { prompt_tokens: 1, completion_tokens: 1 } };
  },
  authenticate: (req) => {
    if (req.headers['x-user'] === undefined) {
      throw new HttpError(401, { code: 'unknown_user', message: 'Send x-user.' });
    }
    return String(req.headers['x-user']);
  },
});
gateway.on('job', (event) => holds<Equal<typeof event, JobEvent>>());
createServer((req, res) => gateway.router()(req, res, () => res.end()));

const provider: Provider = providers.openai({ baseUrl: 'http://127.0.0.1:1', model: 'm' });
const upstreams: RouteOptions = {
  upstreams: [
    { name: 'a', base_url: 'http://127.0.0.1:1', models: ['m', 'x-*'], weight: 2 },
    { name: 'b', base_url: 'http://127.0.0.1:1', dialect: 'anthropic', models: { y: 'z' } },
  ],
  fallbacks: { m: ['y'] },
};
export const several: Provider[] = [
  providers.route(upstreams),
  providers.anthropic({ apiKey: 'k' }),
];
const options: GatewayOptions = { provider, onDisconnect: 'continue' };
// @ts-expect-error an option's type is checked
createGateway({ provider, onDisconnect: 'never' });
async function* numbers(): AsyncGenerator<number> {
  yield 1;
}
// @ts-expect-error a provider yields text
createGateway({ provider: numbers });
const end: ProviderEnd = { reason: 'stop' };
const request: JobRequest = { prompt: 'Hello', max_tokens: 5 };

/** The type of an event gives the type of its data. */
function words(event: StreamEvent): string {
  switch (event.type) {
    case 'token':
      return event.data.token;
    case 'gap':
      holds<Equal<typeof event.id, undefined>>();
      return event.data.earliest ?? '';
    case 'job_complete':
      return `${event.id} ${event.data.reason} ${event.data.usage.completion_tokens}`;
    case 'job_error':
      return event.data.error.message;
    default:
      // @ts-expect-error only a token has this member
      return event.data.token;
  }
}

interface User {
  name: string;
}

export async function primitives(): Promise<string> {
  const users = new KvStore<User>();
  users.set('a', { name: 'Ann' });
  // @ts-expect-error a number is no User
  users.set('b', 5);
  const shared = await openRedis({ url: 'redis://127.0.0.1', prefix: 'mine' });
  const stored = shared.kv<User>({ name: 'users', maxKeys: 10 });
  const version: number = await stored.set('a', { name: 'Ann' }, { ttlMs: 5 });
  // @ts-expect-error a number is no User
  await stored.set('b', 5, { ifVersion: version });
  const one: User | undefined = (await stored.get('a'))?.value;
  const size: number = await stored.size;
  const done = await stored.transaction(async (tx) => (await tx.get('a'))?.value, {
    retries: size,
  });
  holds<Equal<typeof done, User | undefined>>();
  for await (const change of stored.watch(one === undefined ? {} : { prefix: one.name })) {
    if (change.type === 'set') holds<Equal<typeof change.value, User>>();
  }
  await shared.close();
  const cache = new LruTtlCache<string, User>({ maxEntries: 10 });
  const cached: User | undefined = cache.get('a');
  const pipeline = new Pipeline({
    process: async (batch: { request_id: string; prompt: string }[]) =>
      batch.map(({ request_id, prompt }) => ({ request_id, text: prompt })),
  });
  await pipeline.submit({ request_id: '1', prompt: 'Hello' });
  const graph = new TaskGraph<{ a: number }>();
  graph.add('a', { run: () => 1 });
  return `${users.get('a')?.value.name} ${cached?.name}`;
}

export const handle = (request: Request): Promise<Response> => gateway.fetch(request);

export async function serve(): Promise<ServerJob | undefined> {
  const { id } = await gateway.submit(request, { idempotencyKey: 'k' });
  let text = '';
  for await (const event of gateway.stream(id)) {
    holds<Equal<typeof event, StreamEvent>>();
    text += words(event);
  }
  for await (const event of gateway.stream<WorkflowEvent>('wf_1')) {
    if (event.type === 'node_failed') console.log(event.data.node, event.data.error.code);
  }
  for await (const event of gateway.workflows.stream('wf_1')) {
    holds<Equal<typeof event, WorkflowEvent>>();
  }
  for await (const event of gateway.crawls.stream('crawl_1')) {
    holds<Equal<typeof event, CrawlEvent>>();
  }
  console.log(text, end, options);
  for await (const item of crawl({ startUrl: 'http://127.0.0.1:1/' })) {
    const known: CrawlItem = item;
    console.log(known.url);
  }
  return gateway.get(id);
}

export async function read(given: ClientOptions): Promise<JobResult> {
  const client: Client = createClient(given);
  const wanted: ClientJobRequest = { prompt: 'Hello' };
  const job: Job = await client.submit(wanted);
  const name: JobEventName = 'token';
  job.on(name, () => {});
  job.on('token', (text, { id }) =>
    holds<Equal<[typeof text, typeof id], [string, string | null]>>(),
  );
  job.on('complete', (result) => holds<Equal<typeof result, JobResult>>());
  job.on('error', (error) => holds<Equal<typeof error, SluiceClientError>>());
  job.on('gap', (...args) => holds<Equal<typeof args, JobEvents['gap']>>());
  // @ts-expect-error not an event
  job.on('tokens', () => {});
  const view: JobView = await job.cancel();
  for await (const text of job) holds<Equal<typeof text, string>>();
  const status: JobStatus = job.status;
  const connection: ConnectionState = job.connection;
  const figures: [JobMetrics | undefined, JobUsage | undefined] = [job.metrics, job.usage];
  const conversation: Conversation = await client.conversations.create();
  const messages: ConversationMessage[] = conversation.messages;
  if (job.error instanceof SluiceClientError) console.log(job.error.code);
  console.log(status, connection, figures, messages, view);
  client.close();
  return job.done;
}

export async function conformance(url: string): Promise<string> {
  const upstream = await startFixtureUpstream({ port: 0 });
  const options: ConformanceOptions = { url, upstream, adapter: 'responses', heartbeatMs: 15_000 };
  // @ts-expect-error an option's type is checked
  const wrong: ConformanceOptions = { url, only: 'cursor' };
  const report: Report = await runConformance(options);
  const failed: RuleResult[] = report.results.filter(({ status }) => status === 'failed');
  await upstream.close();
  return `${toJunit(report)}${failed.length}${upstream.port}${wrong.url}`;
}
