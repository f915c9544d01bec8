// SPDX-License-Identifier: MIT
//
// A Redis of a test's own, which writes everything to the disk at once, and which the test may kill and start again.
// It is killed with this process, whatever happens to the test.
//
//     const redis = await startRedis();
//     const server = await startGenie({ env: { REDIS_URL: redis.url } });
//     await redis.kill9();
//     await redis.resume();
//     await redis.remove();

import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeDir, tempDir } from './dirs.mjs';
import { exitWithin, launch } from './genie.mjs';
import { freePort } from './ports.mjs';

const START_MS = 60_000;
const ATTEMPTS = 10;

/** A client that tries again for as long as it takes, and says nothing of it. */
export function connect(port) {
    const client = new Redis({
        port,
        host: '127.0.0.1',
        maxRetriesPerRequest: null,
        retryStrategy: () => 100,
    });
    client.on('error', () => {});
    return client;
}

class RedisServer {
    constructor(port) {
        this.dir = tempDir('genie-redis-');
        this.port = port;
        this.url = `redis://127.0.0.1:${port}/0`;
        /** For BullMQ's classes; it tries again for as long as it takes. */
        this.connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null, retryStrategy: () => 100 };
    }

    /** Starts it, or starts it again; false where its port is taken. */
    async resume() {
        const options = {
            port: this.port,
            bind: '127.0.0.1',
            dir: this.dir,
            save: '',
            appendonly: 'yes',
            appendfsync: 'always',
            daemonize: 'no',
            loglevel: 'warning',
        };
        const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
        this.child = launch(args, { PATH: process.env.PATH }, 'ignore', { program: 'redis-server' });
        for (const stream of ['stdout', 'stderr']) this.child[stream].resume();
        this.child.unref();
        this.child.stdout.unref();
        this.child.stderr.unref();
        return await this.#up();
    }

    /** That it is this one, and not one that took the port first. */
    async #up() {
        const deadline = performance.now() + START_MS;
        let gone = false;
        void this.child.exited.then(() => (gone = true));
        const client = connect(this.port);
        try {
            while (performance.now() < deadline && !gone) {
                const asked = client.config('GET', 'dir').catch(() => null);
                const answer = await Promise.race([asked, sleep(500, null)]);
                if (answer?.[1] === this.dir) return true;
                await sleep(20);
            }
        } finally {
            client.disconnect();
        }
        if (gone) return false;
        throw new Error('redis-server does not start');
    }

    async kill9() {
        this.child.kill('SIGKILL');
        if (!(await exitWithin(this.child, START_MS))) throw new Error('redis-server survived SIGKILL');
    }

    async remove() {
        await this.kill9();
        removeDir(this.dir);
    }
}

export async function startRedis() {
    for (let i = 0; i < ATTEMPTS; i++) {
        const server = new RedisServer(await freePort());
        if (await server.resume()) return server;
        removeDir(server.dir);
    }
    throw new Error('redis-server finds no port');
}
