// SPDX-License-Identifier: MIT
//
// A real nginx before real servers, with packaging/nginx.conf as it is shipped: only the addresses are the test's.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { removeDir, tempDir } from './dirs.mjs';
import { request } from './http.mjs';
import { freePort } from './ports.mjs';

const SHIPPED = fileURLToPath(new URL('../../packaging/nginx.conf', import.meta.url));
const TEMP_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
const PATIENCE_MS = 60_000;

const alive = new Set();
process.on('exit', () => {
    for (const child of alive) child.kill('SIGKILL');
});

function replaceAll(text, pattern, replacement, times) {
    const found = text.match(pattern)?.length ?? 0;
    if (found !== times) throw new Error(`packaging/nginx.conf: ${pattern} stands there ${found} times`);
    return text.replace(pattern, replacement);
}

/** The shipped file with other addresses. */
function shipped(port, servers) {
    let n = 0;
    const text = replaceAll(readFileSync(SHIPPED, 'utf8'), /^\s*listen 80;$/gm, `listen 127.0.0.1:${port};`, 1);
    return replaceAll(text, /server 127\.0\.0\.1:300[12]/g, () => `server 127.0.0.1:${servers[n++].port}`, 2);
}

/** A main file for an nginx of the test's own, with genie.conf of that directory. */
export function mainConfig(dir) {
    return `daemon off; master_process off; pid ${dir}/pid; error_log stderr notice;
        events { worker_connections 1024; }
        http {
            access_log off;
            ${TEMP_PATHS.map((name) => `${name}_temp_path ${dir}/${name};`).join('\n')}
            include ${dir}/genie.conf;
        }\n`;
}

export const nginxProgram = () => ['/usr/sbin/nginx', '/usr/bin/nginx'].find((path) => existsSync(path)) ?? 'nginx';

export class Nginx {
    constructor(servers) {
        this.servers = servers;
        this.dir = tempDir('genie-nginx-');
        this.errors = '';
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    async start() {
        this.port = await freePort();
        const file = join(this.dir, 'nginx.conf');
        writeFileSync(join(this.dir, 'genie.conf'), shipped(this.port, this.servers));
        writeFileSync(file, mainConfig(this.dir));
        this.child = spawn(nginxProgram(), ['-p', this.dir, '-e', 'stderr', '-c', file], {
            stdio: ['ignore', 'ignore', 'pipe'],
        });
        alive.add(this.child);
        this.child.stderr.setEncoding('utf8').on('data', (text) => {
            this.errors += text;
        });
        this.exited = new Promise((resolve) => {
            this.child.on('close', resolve);
            this.child.on('error', resolve);
        }).finally(() => alive.delete(this.child));
        await this.#answers();
        return this;
    }

    async #answers() {
        for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; await sleep(20)) {
            const answer = await request(`${this.url}/healthz`, { limitMs: 2000 }).catch(() => null);
            if (answer?.status === 200) return;
            if (!alive.has(this.child)) break;
        }
        throw new Error(`nginx does not serve: ${this.errors}`);
    }

    request(path, options) {
        return request(this.url + path, options);
    }

    async stop() {
        this.child?.kill('SIGTERM');
        await this.exited;
        removeDir(this.dir);
    }
}

export async function startNginx(servers) {
    return await new Nginx(servers).start();
}
