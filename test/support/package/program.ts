/**
 * A strict program of a user: server and client, every export by name, without @types/express.
 * The packaging test compiles it against the installed tarball; it is never run.
 */
import { createServer } from 'node:http';
import { HttpError, createGateway, crawl, providers } from 'sluice';
import type {
  CrawlItem,
  GatewayOptions,
  Job as ServerJob,
  JobEvent,
  JobRequest,
  Provider,
  ProviderEnd,
  ProviderRequest,
  StreamEvent,
} from 'sluice';
import { Client, Job, SluiceClientError, createClient } from 'sluice/client';
import type {
  ClientOptions,
  ConnectionState,
  Conversation,
  ConversationMessage,
  JobRequest as ClientJobRequest,
  JobEventName,
  JobMetrics,
  JobResult,
  JobStatus,
  JobUsage,
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

export async function serve(): Promise<ServerJob | undefined> {
  const { id } = await gateway.submit(request, { idempotencyKey: 'k' });
  for await (const event of gateway.stream(id)) {
    const known: StreamEvent = event;
    console.log(known.id, known.type, known.data, end, options);
  }
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
  for await (const text of job) holds<Equal<typeof text, string>>();
  const status: JobStatus = job.status;
  const connection: ConnectionState = job.connection;
  const figures: [JobMetrics | undefined, JobUsage | undefined] = [job.metrics, job.usage];
  const conversation: Conversation = await client.conversations.create();
  const messages: ConversationMessage[] = conversation.messages;
  if (job.error instanceof SluiceClientError) console.log(job.error.code);
  console.log(status, connection, figures, messages);
  client.close();
  return job.done;
}
