/** A program for Node, compiled without the types of browsers: server and client. It is never run. */
import { createGateway, providers, type JobRequest } from 'sluice';
import { createClient } from 'sluice/client';

const gateway = createGateway({ provider: providers.demo() });
const request: JobRequest = { prompt: 'Hello' };
const { id } = await gateway.submit(request);
for await (const event of gateway.stream(id)) {
  if (event.type === 'token') console.log(event.data.token);
}
const job = await createClient({ baseUrl: 'http://127.0.0.1:8080' }).submit(request);
for await (const text of job) console.log(text);
