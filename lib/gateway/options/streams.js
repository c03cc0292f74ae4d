/** Options of event streams and their logs. */

const MIB = 2 ** 20;
const MANY = 1_000_000;

/** @type {readonly import('../../internal/util/option-table.js').OptionRow[]} */
export const STREAMS_OPTIONS = Object.freeze([
  {
    path: 'streamCapacity',
    type: 'integer',
    unit: 'tokens',
    max: MANY,
    default: 256,
    flag: 'stream-capacity',
    help: 'tokens by which the slowest reader may lag before the provider is paused',
  },
  {
    path: 'stallMs',
    type: 'milliseconds',
    min: 1,
    default: 10_000,
    flag: 'stall-ms',
    help: 'time without progress after which a reader is disconnected',
    more:
      'A reader whose machine acknowledges nothing is cut off after a minute at least (Linux, where the ' +
      'native thread writes).',
  },
  {
    path: 'logBytesMax',
    type: 'integer',
    unit: 'bytes',
    max: 1024 * MIB,
    default: 4 * MIB,
    flag: 'log-bytes-max',
    help: 'text kept per job; the oldest is dropped first, which a `gap` event announces',
  },
  {
    path: 'heartbeatMs',
    type: 'milliseconds',
    min: 1,
    default: 15_000,
    flag: 'heartbeat-ms',
    help: 'silence on a stream before a comment line is sent',
  },
  {
    path: 'reconnectMs',
    type: 'milliseconds',
    default: 2000,
    flag: 'reconnect-ms',
    help: 'the `retry:` of streams: time that a browser waits before it reconnects',
  },
  {
    path: 'maxStreams',
    type: 'integer',
    unit: 'streams',
    max: MANY,
    default: 10_000,
    flag: 'max-streams',
    help: 'event streams open over HTTP at once; further ones are closed at once, with a longer `retry:`',
  },
  {
    path: 'egress',
    type: 'choice',
    choices: ['auto', 'shared', 'node'],
    default: 'auto',
    flag: 'egress',
    help: 'writer of streams to their sockets: the native thread (`auto`, `shared`) or Node (`node`)',
    more:
      '`auto` uses the native thread where the response is plain HTTP/1.1 on a plain socket. In the server ' +
      'of `listen()` that thread also has the connection to itself until the stream ends: the response ' +
      'gets its `close` right after the head. With `shared` every connection stays with Node.',
  },
]);
