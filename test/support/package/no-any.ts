/**
 * A strict program that compiles only if no public signature has an `any`: it walks through all exports of
 * the package. A failure names the paths. The packaging test compiles it.
 */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type * as server from 'sluice';
import type * as ai from 'sluice/ai';
import type * as client from 'sluice/client';
import type * as conformance from 'sluice/conformance';
import type * as react from 'sluice/react';

type IsAny<T> = 0 extends 1 & T ? true : false;

/** Types of other packages, which may have an `any`. */
type Foreign =
  | AbortSignal
  | Date
  | Headers
  | IncomingMessage
  | RegExp
  | Request
  | Response
  | Server
  | ServerResponse
  | Uint8Array
  | Iterator<unknown>
  | ReadonlyMap<unknown, unknown>
  | typeof fetch
  | (new (url: string) => EventSource);
/** Members inherited from EventEmitter and Error. */
type Inherited = Exclude<keyof EventEmitter, 'on'> | keyof Error | 'on';

type Depth = [never, 0, 1, 2, 3, 4, 5, 6, 7];

/** The paths below `Path` at which there is an `any`. */
type AnyIn<T, Path extends string, D extends number> = [D] extends [never]
  ? never
  : IsAny<T> extends true
    ? Path
    : T extends Foreign | string | number | bigint | boolean | symbol | null | undefined
      ? never
      : T extends abstract new (...args: infer A) => infer I
        ? AnyIn<A[number], `new ${Path}()`, Depth[D]> | AnyIn<I, `${Path}#`, Depth[D]>
        : T extends (...args: infer A) => infer R
          ? AnyIn<A[number], `${Path}(arg)`, Depth[D]> | AnyIn<R, `${Path}()`, Depth[D]>
          : T extends readonly (infer E)[]
            ? AnyIn<E, `${Path}[]`, Depth[D]>
            : T extends PromiseLike<infer V>
              ? AnyIn<V, `await ${Path}`, Depth[D]>
              : T extends AsyncIterable<infer V>
                ? AnyIn<V, `for await ${Path}`, Depth[D]>
                : T extends object
                  ? {
                      [K in Exclude<keyof T, Inherited> & string]: AnyIn<
                        T[K],
                        `${Path}.${K}`,
                        Depth[D]
                      >;
                    }[Exclude<keyof T, Inherited> & string]
                  : never;

function none<_T extends never>(): void {}
none<AnyIn<typeof server, 'sluice', 7>>();
none<AnyIn<typeof client, 'sluice/client', 7>>();
none<AnyIn<typeof conformance, 'sluice/conformance', 7>>();
none<AnyIn<typeof react, 'sluice/react', 7>>();
none<AnyIn<typeof ai, 'sluice/ai', 7>>();
none<
  AnyIn<
    [
      server.GatewayOptions,
      server.JobRequest,
      server.Job,
      server.JobEvent,
      server.Provider,
      server.ProviderRequest,
      server.ProviderEnd,
      server.StreamEvent,
      server.WorkflowEvent,
      server.CrawlEvent,
      server.CrawlItem,
      server.WorkflowRequest,
      server.WorkflowView,
      server.CrawlView,
      server.AccessConfig,
      server.ListenOptions,
    ],
    'type',
    7
  >
>();
none<
  AnyIn<
    [
      client.JobEvents,
      client.JobView,
      client.JobRequest,
      client.ClientOptions,
      client.Conversation,
    ],
    'type',
    7
  >
>();

// The walk finds an `any`.
interface Sample {
  a(): Promise<{ b: any[] }>;
}
const found: AnyIn<Sample, 'sample', 5> = 'await sample.a().b[]';
export default found;
