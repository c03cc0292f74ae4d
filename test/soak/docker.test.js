/**
 * The steps of ops/docker/Dockerfile, run without a container engine: each stage is a folder with Debian and Node,
 * in which `chroot` runs the commands. Needs root, debootstrap and namespaces; skipped without them.
 */
import { execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { DockerfileParser } from 'dockerfile-ast';
import { root, which } from '../../scripts/lib/run.mjs';

const execute = promisify(execFile);
const text = readFileSync(join(root, 'ops/docker/Dockerfile'), 'utf8');
const options = { maxBuffer: 1e8 };
const folder = mkdtempSync(join(tmpdir(), 'sluice-docker-'));
const base = join(folder, 'base');
/** A separate path: the package ca-certificates writes the usual one. */
const CERTIFICATES = '/usr/local/lib/certificates-of-the-host.pem';

/** Whether this machine can make such a folder and run commands in it. */
function isPossible() {
  if (process.getuid?.() !== 0 || which('debootstrap') === undefined) return false;
  try {
    execFileSync('unshare', ['--mount', '--net', '--pid', '--fork', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
const possible = isPossible();

beforeAll(async () => {
  if (possible) await makeBase();
}, 900_000);

// Three Debians are many files.
afterAll(() => rm(folder, { recursive: true, force: true }), 900_000);

/** The content of the image node:20-bookworm-slim: Debian, Node with npm, and the user `node`. */
async function makeBase() {
  await execute('debootstrap', ['--variant=minbase', 'bookworm', base], options);
  const npm = dirname(dirname(realpathSync(which('npm'))));
  mkdirSync(join(base, 'usr/local/lib/node_modules'), { recursive: true });
  cpSync(process.execPath, join(base, 'usr/local/bin/node'));
  // The headers of Node stand beside it in the image.
  const include = join(dirname(dirname(realpathSync(process.execPath))), 'include/node');
  if (existsSync(include)) {
    cpSync(include, join(base, 'usr/local/include/node'), { recursive: true });
  }
  cpSync(npm, join(base, 'usr/local/lib/node_modules/npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(base, 'usr/local/bin/npm'));
  // How this machine reaches its registries.
  for (const file of ['/etc/resolv.conf', '/etc/hosts', '/etc/npmrc', join(homedir(), '.npmrc')]) {
    if (existsSync(file)) cpSync(file, join(base, file), { dereference: true });
  }
  const certificates = process.env.NODE_EXTRA_CA_CERTS;
  if (certificates) cpSync(certificates, join(base, CERTIFICATES), { dereference: true });
  await inside(
    base,
    'groupadd --gid 1000 node && useradd --uid 1000 --gid node --create-home node',
  );
}

/**
 * Runs a command in a stage.
 * @param {string} stage its folder
 * @param {string} command
 * @param {{workdir?: string, user?: string, net?: boolean}} [state] `net`: a network of its own
 */
function inside(stage, command, { workdir = '/', user = 'root', net = false } = {}) {
  const script = `
    set -e
    mount --make-rprivate /
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    if [ "$4" = true ]; then ip link set lo up; fi
    exec chroot --userspec="$3" "$1" /bin/sh -c "cd $2; $5"`;
  const args = ['--mount', '--pid', '--fork', '--kill-child', ...(net ? ['--net'] : [])];
  const env = {
    ...process.env,
    ...{ PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    ...{ HOME: user === 'root' ? '/root' : `/home/${user}`, DEBIAN_FRONTEND: 'noninteractive' },
    ...(process.env.NODE_EXTRA_CA_CERTS && {
      NODE_EXTRA_CA_CERTS: CERTIFICATES,
      npm_config_cafile: CERTIFICATES,
    }),
  };
  const values = [stage, workdir, `${user}:${user}`, String(net), command];
  return execute('unshare', [...args, 'sh', '-c', script, 'sh', ...values], { ...options, env });
}

/** @param {string} stage @param {string[]} args of COPY @param {string} [from] the folder of another stage */
async function copy(stage, [source, target], from, workdir = '/') {
  const to = join(stage, target.startsWith('/') ? target : join(workdir, target));
  mkdirSync(to, { recursive: true });
  if (from !== undefined) {
    await execute('sh', ['-c', `cp -a "$1"${source} "$2"`, 'sh', from, to], options);
    return;
  }
  // The files of the repository, without the ones excluded by .dockerignore.
  const list = 'git ls-files -z --cached --others --exclude-standard';
  const tar = `${list} | tar --create --null --ignore-failed-read --files-from=- | tar -x -C "$1"`;
  await execute('sh', ['-c', tar, 'sh', to], { ...options, cwd: root });
}

(possible ? test : test.skip)(
  'the image builds; its command serves, is healthy, and ends on SIGTERM',
  async () => {
    /** @type {Map<string, string>} */
    const stages = new Map();
    const final = { stage: '', workdir: '/', user: 'root', entry: [], command: [], health: [] };
    for (const instruction of DockerfileParser.parse(text).getInstructions()) {
      const args = String(instruction.getArgumentsContent()).replaceAll('\\\n', ' ');
      switch (instruction.getKeyword()) {
        case 'FROM': {
          const [image, , name = 'final'] = args.split(' ');
          expect(image).toBe('node:20-bookworm-slim');
          Object.assign(final, { stage: join(folder, name), workdir: '/', user: 'root' });
          stages.set(name, final.stage);
          await execute('cp', ['-a', base, final.stage], options);
          break;
        }
        case 'RUN':
          await inside(final.stage, args, final);
          break;
        case 'WORKDIR':
          final.workdir = args;
          mkdirSync(join(final.stage, args), { recursive: true });
          break;
        case 'COPY': {
          const [, name] = /--from=(\w+)/.exec(instruction.getFlags().join(' ')) ?? [];
          await copy(final.stage, args.split(' '), name && stages.get(name), final.workdir);
          break;
        }
        case 'USER':
          final.user = args;
          break;
        case 'ENTRYPOINT':
          final.entry = JSON.parse(args);
          break;
        case 'CMD':
          final.command = JSON.parse(args);
          break;
        case 'HEALTHCHECK':
          final.health = JSON.parse(args.replace(/^CMD /, ''));
          break;
        default:
          // Metadata of the image: VOLUME, EXPOSE, STOPSIGNAL.
          expect(instruction.getKeyword()).toMatch(/^(VOLUME|EXPOSE|STOPSIGNAL)$/);
      }
    }
    // As the compose file mounts it.
    mkdirSync(join(final.stage, 'etc/sluice'), { recursive: true });
    cpSync(join(root, 'ops/docker/config.json'), join(final.stage, 'etc/sluice/config.json'));
    const quote = (/** @type {string[]} */ words) =>
      words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    writeFileSync(
      join(final.stage, 'tmp/check.sh'),
      `${quote([...final.entry, ...final.command])} > /tmp/out 2> /tmp/err & server=$!
      tries=0
      until ${quote(final.health)}; do
        tries=$((tries + 1)); [ $tries -lt 100 ] || { cat /tmp/err; exit 1; }; sleep 0.2
      done
      echo healthy
      kill -TERM $server
      wait $server; echo "ended with $?"
      cat /tmp/out; ls /data; id -un; which g++ cmake || echo without a compiler
      `,
    );
    const { stdout } = await inside(final.stage, 'sh /tmp/check.sh', { ...final, net: true });
    expect(stdout).toMatch(/^healthy\nended with 0\nlistening on http:\/\/0\.0\.0\.0:8080\n/);
    expect(stdout).toMatch(/^sluice\.db$/m);
    expect(stdout).toMatch(/node\nwithout a compiler\n$/);
  },
  3_600_000,
);
