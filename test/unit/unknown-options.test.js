/**
 * An option that nothing reads is refused by its name: by every constructor, method and function that the package
 * exports. A method that is new must be listed here, with a call or among those without options.
 */
import * as conformance from '../../lib/conformance/index.js';
import * as sluice from '../../lib/index.js';
import * as ai from '../../web/ai.js';
import * as client from '../../web/client.js';
import * as react from '../../web/react.js';

const { FixedWindowLimiter, SlidingWindowLimiter, TokenBucketLimiter, RollingWindow } = sluice;
const { KvStore, Ledger, LogParser, LruTtlCache, Pipeline, Quota, StreamBuffer, TaskGraph } =
  sluice;
const { providers } = sluice;

const BAD = { surprise: 1 };
const REFUSED = /\bsurprise\b/;

const limiterCalls = {
  calls: {
    allow: (limiter) => limiter.allow('k', BAD),
    acquire: (limiter) => limiter.acquire('k', BAD),
    reset: (limiter) => limiter.reset('k', BAD),
  },
  without: ['size', 'waiting'],
};
const bucket = { capacity: 1, refillPerSecond: 1 };
const window = { limit: 1, windowMs: 1000 };
const limits = { jobs: { concurrent: 1 } };

const LEDGER_CALLS = [
  ...['open', 'deposit', 'withdraw', 'transfer', 'linked', 'close', 'hold', 'settle', 'void'],
  ...['reverse', 'schedule', 'cancelScheduled', 'events'],
];

/** Per class: how one is made, the calls of its methods with a bad option, and the members without options. */
const CLASSES = {
  FixedWindowLimiter: {
    make: (more) => new FixedWindowLimiter({ ...window, ...more }),
    ...limiterCalls,
  },
  SlidingWindowLimiter: {
    make: (more) => new SlidingWindowLimiter({ ...window, ...more }),
    ...limiterCalls,
  },
  TokenBucketLimiter: {
    make: (more) => new TokenBucketLimiter({ ...bucket, ...more }),
    ...limiterCalls,
  },
  KvStore: {
    make: (more) => new KvStore(more),
    calls: {
      set: (kv) => kv.set('k', 1, BAD),
      compareAndSet: (kv) => kv.compareAndSet('k', 0, 1, BAD),
      increment: (kv) => kv.increment('k', 1, BAD),
      touch: (kv) => kv.touch('k', BAD),
      delete: (kv) => kv.delete('k', BAD),
      scan: (kv) => kv.scan(BAD),
      watch: (kv) => kv.watch(BAD),
      transaction: (kv) => kv.transaction(() => {}, BAD),
    },
    without: ['get', 'size', 'snapshot', 'stats', 'version'],
  },
  Ledger: {
    make: (more) => new Ledger(more),
    calls: Object.fromEntries(
      LEDGER_CALLS.map((name) => [name, (/** @type {any} */ ledger) => ledger[name](BAD)]),
    ),
    without: ['accounts', 'balance', 'journal'],
  },
  LogParser: {
    make: (more) => new LogParser(more),
    calls: {
      push: (parser) => parser.push('a', BAD),
      count: (parser) => parser.count('a', BAD),
      errors: (parser) => parser.errors('a', BAD),
      end: (parser) => parser.end(BAD),
      stats: (parser) => parser.stats(BAD),
      topErrors: (parser) => parser.topErrors(BAD),
    },
    without: ['flush', 'nextFlushMs'],
  },
  LruTtlCache: {
    make: (more) => new LruTtlCache({ maxEntries: 1, ...more }),
    calls: {
      set: (cache) => cache.set('k', 1, BAD),
      fetch: (cache) => cache.fetch('k', () => 1, BAD),
    },
    without: [
      ...[
        'bytes',
        'clear',
        'delete',
        'entries',
        'get',
        'getRemainingTTL',
        'has',
        'keys',
        'metrics',
      ],
      ...['peek', 'purgeStale', 'size', 'stats', 'values'],
    ],
  },
  Pipeline: {
    make: (more) => new Pipeline({ process: async () => [], ...more }),
    calls: {
      submit: (pipeline) => pipeline.submit({ request_id: 'r' }, BAD),
      run: (pipeline) => pipeline.run({}, BAD),
    },
    without: ['close', 'place', 'results', 'stats'],
  },
  Quota: {
    make: (more) => new Quota({ limits, ...more }),
    calls: {
      reserve: (quota) => quota.reserve({ jobs: 1 }, { key: 'k', ...BAD }),
      setLimit: (quota) => quota.setLimit('jobs', { concurrent: 2 }, BAD),
    },
    without: ['openLeases'],
  },
  QuotaLease: {
    make: () => new Quota({ limits }).reserve({ jobs: 1 }, { key: 'k' }),
    takesNone: true,
    calls: {
      settle: (lease) => lease.settle({}, BAD),
      release: (lease) => lease.release(BAD),
      renew: (lease) => lease.renew(BAD),
    },
    without: ['dimensions'],
  },
  RollingWindow: {
    make: (more) => new RollingWindow({ windowMs: 1000, ...more }),
    calls: {},
    without: ['add', 'count', 'sum'],
  },
  StreamBuffer: {
    make: (more) => new StreamBuffer({ capacity: 1, ...more }),
    calls: {
      write: (buffer) => buffer.write('a', BAD),
      read: (buffer) => buffer.read(BAD),
      stream: (buffer) => buffer.stream(BAD),
    },
    without: ['capacity', 'close', 'closed', 'size', 'tryRead', 'tryWrite'],
  },
  TaskGraph: {
    make: (more) => new TaskGraph(more),
    calls: {
      add: (graph) => graph.add('a', { run: () => 1, ...BAD }),
      run: (graph) => graph.run(BAD),
    },
    without: ['check'],
  },
};

/** Classes whose constructors take no options, or which have a separate test. */
const OTHER_CLASSES = ['Gateway', 'ManualClock', 'SluiceError'];

const FUNCTIONS = {
  HttpError: () => new sluice.HttpError(400, { message: 'm', code: 'c', ...BAD }),
  ProviderError: () => new sluice.ProviderError('c', 'm', BAD),
  crawl: () => sluice.crawl({ startUrl: 'http://127.0.0.1:1/', ...BAD }),
  createGateway: () => sluice.createGateway({ provider: providers.demo(), ...BAD }),
  openRedis: () => sluice.openRedis({ url: 'redis://127.0.0.1:1', ...BAD }),
};

const PROVIDERS = {
  anthropic: () => providers.anthropic({ apiKey: 'k', ...BAD }),
  demo: () => providers.demo(BAD),
  llama: () => providers.llama({ modelPath: import.meta.filename, ...BAD }),
  openai: () => providers.openai({ baseUrl: 'http://127.0.0.1:1', ...BAD }),
  route: () =>
    providers.route({ upstreams: [{ name: 'a', base_url: 'http://127.0.0.1:1' }], ...BAD }),
};

const inPage = new client.Client();
const CLIENT = {
  'new Client': () => new client.Client(BAD),
  createClient: () => client.createClient(BAD),
  'client.submit': () => inPage.submit({ prompt: 'a' }, BAD),
  'client.attach': () => inPage.attach('job_a', BAD),
  'client.conversations.list': () => inPage.conversations.list(BAD),
  SluiceChatTransport: () => new ai.SluiceChatTransport(BAD),
  'SluiceChatTransport: reconnect': () => new ai.SluiceChatTransport({ reconnect: BAD }),
  useJobStream: () => react.useJobStream(null, { client: inPage, ...BAD }),
  useSubmit: () => react.useSubmit({ client: inPage, ...BAD }),
  runConformance: () => conformance.runConformance({ url: 'http://127.0.0.1:1', ...BAD }),
  startFixtureUpstream: () => conformance.startFixtureUpstream(BAD),
};

/** @param {() => unknown} call */
async function refusal(call) {
  try {
    const result = await call();
    await result?.next?.();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** @param {() => unknown} call */
async function expectRefusal(call) {
  const error = await refusal(call);
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toMatch(REFUSED);
}

const isClass = (value) => typeof value === 'function' && /^class\b/.test(value.toString());

describe.each(Object.entries(CLASSES))('%s', (name, { make, takesNone, calls, without }) => {
  for (const [method, call] of Object.entries(calls)) {
    test(method, () => expectRefusal(() => call(make())));
  }

  if (!takesNone) test('constructor', () => expectRefusal(() => make(BAD)));

  test('is walked through whole', () => {
    const members = new Set();
    for (let at = sluice[name].prototype; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
      for (const member of Object.getOwnPropertyNames(at)) members.add(member);
    }
    members.delete('constructor');
    expect([...members].sort()).toEqual([...Object.keys(calls), ...without].sort());
  });
});

test.each([
  ...Object.entries(FUNCTIONS),
  ...Object.entries(PROVIDERS).map(([name, call]) => [`providers.${name}`, call]),
  ...Object.entries(CLIENT),
])('%s', (_name, call) => expectRefusal(call));

test('all exports are walked through', () => {
  const walked = [
    ...Object.keys(CLASSES),
    ...OTHER_CLASSES,
    ...Object.keys(FUNCTIONS),
    'providers',
  ];
  expect(Object.keys(sluice).sort()).toEqual(walked.sort());
  expect(Object.keys(providers).sort()).toEqual(Object.keys(PROVIDERS).sort());
  const classes = Object.keys(sluice).filter((name) => isClass(sluice[name]));
  expect(classes.filter((name) => !(name in CLASSES) && !(name in FUNCTIONS)).sort()).toEqual(
    OTHER_CLASSES,
  );
});
