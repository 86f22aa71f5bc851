// What people do with containers through dockerode, which finds the data center by the
// settings of the environment and sends paths without a version.
//
// IMAGE is a busybox, PREFIX begins the names of all that is made here. Prints each thing that
// it tries; ends with an error if one does not work.
'use strict';

const assert = require('node:assert');
const { PassThrough } = require('node:stream');
const { text } = require('node:stream/consumers');
const { setTimeout: sleep } = require('node:timers/promises');
const { gzipSync } = require('node:zlib');
const Docker = require('dockerode');
const tar = require('tar-stream');

const { IMAGE, PREFIX } = process.env;
const docker = new Docker();
const label = `for=${PREFIX}`;

async function create(options) {
  return docker.createContainer({ Image: IMAGE, Labels: { for: PREFIX }, ...options });
}

async function run(...command) {
  const container = await create({ Cmd: command });
  await container.start();
  return container;
}

// split separates a multiplexed stream and waits for its end.
async function split(container, stream) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  container.modem.demuxStream(stream, stdout, stderr);
  stream.on('end', () => { stdout.end(); stderr.end(); });
  return Promise.all([text(stdout), text(stderr)]);
}

// until reads a stream up to what is looked for.
async function until(stream, found) {
  let all = '';
  for await (const part of stream) {
    all += part;
    if (found(all)) return all;
  }
  throw new Error(`the stream ended with ${JSON.stringify(all)}`);
}

const cases = {
  async lifecycle() {
    const container = await create({ name: `${PREFIX}-life`, Cmd: ['sleep', '1000'], HostConfig: { Memory: 64 << 20 } });
    await container.start();
    let seen = await container.inspect();
    assert.ok(seen.State.Running);
    assert.equal(seen.HostConfig.Memory, 64 << 20);
    await container.pause();
    seen = await container.inspect();
    assert.equal(seen.State.Status, 'paused');
    await container.unpause();
    await container.rename({ name: `${PREFIX}-renamed` });
    await container.restart({ t: 0 });
    await container.update({ Memory: 48 << 20, MemorySwap: 48 << 20 });
    assert.equal((await container.inspect()).HostConfig.Memory, 48 << 20);
    const waiting = container.wait({ condition: 'next-exit' });
    await container.kill();
    assert.equal((await waiting).StatusCode, 137);
    await container.remove();
    await assert.rejects(container.inspect(), { statusCode: 404 });
  },

  async foregroundRun() {
    const output = new PassThrough();
    const [{ StatusCode }, container] = await docker.run(IMAGE, ['sh', '-c', 'echo hello; exit 3'], output, { Labels: { for: PREFIX }, Tty: false });
    assert.equal(StatusCode, 3);
    await container.remove();
  },

  async lists() {
    const container = await run('sleep', '1000');
    const listed = await docker.listContainers({ filters: { label: [label] } });
    assert.ok(listed.some((c) => c.Id === container.id));
    const [sized] = await docker.listContainers({ size: true, filters: { id: [container.id] } });
    assert.ok(sized.SizeRootFs > 0, JSON.stringify(sized));
    await container.remove({ force: true });
  },

  async logs() {
    const container = await run('sh', '-c', 'echo first; sleep 0.3; echo second >&2');
    const [stdout, stderr] = await split(container, await container.logs({ follow: true, stdout: true, stderr: true }));
    assert.deepEqual([stdout, stderr], ['first\n', 'second\n']);
    assert.match((await container.logs({ stdout: true, timestamps: true })).toString('latin1'), /^\x01.*Z first\n$/s);
    await container.remove();
  },

  async attach() {
    const container = await create({ Cmd: ['sh', '-c', 'read x; echo got $x; echo bad >&2'], OpenStdin: true, StdinOnce: true });
    const stream = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true });
    const reading = split(container, stream);
    await container.start();
    stream.write('this\n');
    assert.deepEqual(await reading, ['got this\n', 'bad\n']);
    await container.wait(); // the streams end a moment before the container has
    await container.remove();
  },

  async terminal() {
    const container = await create({ Cmd: ['sh'], Tty: true, OpenStdin: true });
    const stream = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true });
    await container.start();
    await container.resize({ h: 30, w: 100 });
    stream.write('stty size; echo in-$((1+1))\n');
    const shown = await until(stream, (all) => all.includes('in-2'));
    assert.ok(shown.includes('30 100'), shown);
    await container.remove({ force: true });
  },

  async exec() {
    const container = await run('sleep', '1000');
    const exec = await container.exec({ Cmd: ['sh', '-c', 'cat; echo err >&2; exit 4'], AttachStdin: true, AttachStdout: true, AttachStderr: true });
    const stream = await exec.start({ hijack: true, stdin: true });
    const reading = split(container, stream);
    stream.end('through\n');
    assert.deepEqual(await reading, ['through\n', 'err\n']);
    const { ExitCode, Running } = await exec.inspect();
    assert.deepEqual([ExitCode, Running], [4, false]);
    await container.remove({ force: true });
  },

  async archives() {
    const container = await create({ Cmd: ['true'] });
    const pack = tar.pack();
    pack.entry({ name: 'file', mode: 0o640 }, 'content');
    pack.finalize();
    const chunks = [];
    for await (const chunk of pack) chunks.push(chunk);
    await container.putArchive(gzipSync(Buffer.concat(chunks)), { path: '/tmp' });
    const extract = tar.extract();
    const files = {};
    extract.on('entry', async (header, stream, next) => {
      files[header.name] = await text(stream);
      next();
    });
    const archive = await container.getArchive({ path: '/tmp/file' });
    await new Promise((resolve, reject) => archive.pipe(extract).on('finish', resolve).on('error', reject));
    assert.deepEqual(files, { file: 'content' });
    await assert.rejects(container.getArchive({ path: '/nowhere' }), { statusCode: 404 });
    assert.ok((await container.changes()).some((c) => c.Path === '/tmp/file' && c.Kind === 1));
    await container.remove();
  },

  async statistics() {
    const container = await run('sleep', '1000');
    const once = await container.stats({ stream: false });
    assert.ok(once.cpu_stats.cpu_usage.total_usage > 0 && once.memory_stats.usage > 0 && once.networks, JSON.stringify(once));
    const stream = await container.stats({ stream: true });
    await until(stream, (all) => all.trim().split('\n').length >= 2);
    const { Processes } = await container.top();
    assert.ok(Processes.some((row) => row.join(' ').includes('sleep 1000')), JSON.stringify(Processes));
    await container.remove({ force: true });
  },

  async events() {
    const stream = await docker.getEvents({ filters: { label: [label], type: ['container'] } });
    const reading = until(stream, (all) => all.includes('"destroy"'));
    const container = await run('true');
    await container.wait();
    await container.remove();
    const actions = (await reading).trim().split('\n').map((line) => JSON.parse(line)).filter((e) => e.Actor.ID === container.id).map((e) => e.Action);
    assert.deepEqual(actions, ['create', 'start', 'die', 'destroy']);
  },

  async health() {
    const container = await create({ Cmd: ['sleep', '1000'], Healthcheck: { Test: ['CMD', 'true'], Interval: 1e9 } });
    await container.start();
    for (let tries = 0; (await container.inspect()).State.Health.Status !== 'healthy'; tries++) {
      assert.ok(tries < 300, 'not healthy within 30 s');
      await sleep(100);
    }
    await container.remove({ force: true });
  },

  async commit() {
    const container = await run('sh', '-c', 'echo kept > /kept');
    await container.wait();
    const name = `committed/${PREFIX}`;
    const { Id } = await container.commit({ repo: name, tag: 'v1', author: 'me', comment: 'why', changes: 'CMD ["cat", "/kept"]' });
    const image = docker.getImage(`${name}:v1`);
    const seen = await image.inspect();
    assert.deepEqual([seen.Id, seen.Author, seen.Config.Cmd], [Id, 'me', ['cat', '/kept']]);
    await image.remove({ force: true });
    await container.remove();
  },

  async prune() {
    const container = await create({ Cmd: ['true'] });
    const { ContainersDeleted } = await docker.pruneContainers({ filters: { label: [label] } });
    assert.ok(ContainersDeleted.includes(container.id), JSON.stringify(ContainersDeleted));
    await docker.df();
  },
};

async function main() {
  let failed = false;
  for (const [name, attempt] of Object.entries(cases)) {
    try {
      await Promise.race([attempt(), sleep(60_000, undefined, { ref: false }).then(() => { throw new Error('it took more than a minute'); })]);
      console.log('ok', name);
    } catch (error) {
      failed = true;
      console.log('FAILED', name, error.stack);
    }
  }
  for (const { Id } of await docker.listContainers({ all: true, filters: { label: [label] } })) {
    await docker.getContainer(Id).remove({ force: true });
  }
  process.exit(failed ? 1 : 0);
}

main();
