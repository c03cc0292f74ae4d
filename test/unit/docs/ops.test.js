/** The files of ops/ agree with the command line, with each other, and with the needs of the build. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { validate } from 'dockerfile-utils';
import yaml from 'js-yaml';
import { checkRedis } from '../../../lib/cluster/options.js';
import { flags, checkServe } from '../../../lib/cli/serve.js';
import { parseFlags } from '../../../lib/cli/flags.js';
import { findAccessProblem } from '../../../lib/jobs/policy/config.js';
import { buildNeeds, fasterBuildNeeds } from '../../../scripts/lib/needs.mjs';
import { which } from '../../../scripts/lib/run.mjs';

const ops = new URL('../../../ops/', import.meta.url);
const read = (path) => readFileSync(new URL(path, ops), 'utf8');

/** Parses a command line of serve; the configuration file is not on this machine. */
function parseServe(args) {
  const [command, ...rest] = args;
  expect(command).toBe('serve');
  const { values } = parseFlags(
    flags,
    rest.filter(
      (arg, i) => arg !== '--config' && rest[i - 1] !== '--config' && !arg.startsWith('--config='),
    ),
  );
  checkServe(values, { keys: [] });
  return values;
}

const dockerfile = read('docker/Dockerfile').replaceAll('\\\n', ' ');
const compose = yaml.load(read('docker/compose.yaml'));
const cluster = yaml.load(read('docker/cluster.yaml'));
const [statefulSet, service] = yaml.loadAll(read('kubernetes/sluice.yaml'));

/** Each mount is a file of ops/, or a volume that the file names. */
function expectMounts(services, volumes) {
  for (const { volumes: mounts } of Object.values(services)) {
    for (const mount of mounts) {
      const [from] = mount.split(':');
      const known = from.startsWith('.')
        ? existsSync(new URL(`docker/${from}`, ops))
        : from in volumes;
      expect([mount, known]).toEqual([mount, true]);
    }
  }
}

test('the Dockerfile passes its linter', () => {
  expect(validate(read('docker/Dockerfile'))).toEqual([]);
  // Every image has a version, apt leaves no lists behind, and a failed command fails its step.
  for (const image of dockerfile.matchAll(/^FROM (\S+)/gm)) expect(image[1]).toMatch(/:\d/);
  for (const [run] of dockerfile.matchAll(/^RUN apt-get .*$/gm)) {
    expect(run).toMatch(/ --no-install-recommends .*&& rm -rf \/var\/lib\/apt\/lists\/\*$/);
  }
  expect(dockerfile).not.toMatch(/^RUN [^"\n]*(?:;|\|)/m);
});

test('the image has the packages for the build, and runs as an ordinary user', () => {
  const [build, runtime] = dockerfile.split(/^FROM /m).slice(1);
  const packages = build.split(/\s+/);
  for (const need of [...buildNeeds, ...fasterBuildNeeds]) expect(packages).toContain(need.package);
  expect(runtime).toMatch(/^USER node$/m);
  expect(runtime).toMatch(/^STOPSIGNAL SIGTERM$/m);
  expect(runtime).not.toMatch(/\bADD\b|curl .*\|/);
});

test('its command is one of serve, on the port that is exposed', () => {
  const values = parseServe(JSON.parse(/^CMD (\[.*\])$/m.exec(dockerfile)[1]));
  expect(dockerfile).toContain(`EXPOSE ${values.port}\n`);
  expect(values.data.startsWith('/data/')).toBe(true);
  expect(dockerfile).toContain(`http://127.0.0.1:${values.port}/healthz`);
});

test('compose: the services, files and times fit together', () => {
  const { services, volumes } = compose;
  const { sluice, caddy } = services;
  const values = parseServe(sluice.command);
  expect(new URL(values.upstream).hostname in services).toBe(true);
  expect(parseInt(sluice.stop_grace_period, 10) * 1000).toBeGreaterThan(values.drainMs);
  expect(caddy.environment.SLUICE).toBe(`sluice:${values.port}`);
  expectMounts(services, volumes);
  const config = JSON.parse(read('docker/config.json'));
  expect(findAccessProblem(config)).toBeUndefined();
});

test('compose of several processes: the services, files, times and addresses fit together', () => {
  const { services, volumes, networks } = cluster;
  const [{ subnet }] = networks.default.ipam.config;
  const addresses = ['sluice-1', 'sluice-2'].map((name) => {
    const { command, environment, stop_grace_period: grace, networks: at } = services[name];
    const values = parseServe(command);
    expect(new URL(values.upstream).hostname in services).toBe(true);
    expect(parseInt(grace, 10) * 1000).toBeGreaterThan(values.drainMs);
    const url = environment.SLUICE_REDIS_URL.replace('${REDIS_PASSWORD:?}', 'secret');
    expect(checkRedis(url).address).toMatchObject({ host: 'redis', port: 6379 });
    expect(read('nginx/cluster.conf')).toContain(`server ${name}:${values.port} `);
    expect(read('haproxy/sluice.cfg')).toContain(`server ${name} ${name}:${values.port}\n`);
    return at.default.ipv4_address;
  });
  expect(new Set(addresses).size).toBe(2);
  for (const address of addresses) {
    expect(address.split('.').slice(0, 3)).toEqual(subnet.split('.').slice(0, 3));
  }
  expect(services.redis.command.join(' ')).toContain('--maxmemory-policy noeviction');
  expect(services.redis.command.join(' ')).toContain('--appendfsync everysec');
  expectMounts(services, volumes);
  for (const { depends_on: needs = {} } of Object.values(services)) {
    for (const name of Object.keys(needs)) expect(services[name].healthcheck).toBeDefined();
  }
});

test('Kubernetes: probes, times and names fit together', () => {
  const { spec } = statefulSet.spec.template;
  const [container] = spec.containers;
  const values = parseServe(container.args);
  const [, preStop] = container.lifecycle.preStop.exec.command;
  expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(
    Number(preStop) + values.drainMs / 1000,
  );
  expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: values.port });
  expect(container.livenessProbe.httpGet).toEqual({ path: '/healthz', port: values.port });
  expect(container.ports).toEqual([{ containerPort: values.port }]);
  expect(service.spec.ports[0].targetPort).toBe(values.port);
  const mounts = container.volumeMounts.map(({ name }) => name).sort();
  const named = [
    ...spec.volumes.map(({ name }) => name),
    ...statefulSet.spec.volumeClaimTemplates.map(({ metadata }) => metadata.name),
  ];
  expect(mounts).toEqual(named.sort());
  expect(statefulSet.spec.replicas).toBe(1);
});

test('systemd: the command and the time to stop', () => {
  const unit = read('systemd/sluice.service');
  const [, command] = /^ExecStart=\/usr\/bin\/env sluice (.*)$/m.exec(unit);
  const values = parseServe(command.split(' '));
  const [, seconds] = /^TimeoutStopSec=(\d+)$/m.exec(unit);
  expect(Number(seconds) * 1000).toBeGreaterThan(values.drainMs);
  expect(values.data).toMatch(/^\/var\/lib\/sluice\//);
});

const verifies = which('systemd-analyze') ? test : test.skip;
verifies('systemd: the unit is valid', () => {
  const path = fileURLToPath(new URL('systemd/sluice.service', ops));
  expect(
    execFileSync('systemd-analyze', ['verify', path], { encoding: 'utf8', stdio: 'pipe' }),
  ).toBe('');
});
