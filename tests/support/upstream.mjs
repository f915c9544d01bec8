// SPDX-License-Identifier: MIT
//
// A server in Directus's place that answers as its path says, remembers what it was asked, and misbehaves on demand.
//
//     const upstream = await startUpstream();
//     upstream.seen                      // [{method, url, rawHeaders, bytes, sha256, aborted}], as they began
//     /echo /bytes?n= /trickle?n= /stall /stall-mid /drop /reset-mid /refuse-early /slow-read /cookies /moved …

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Listener } from './listener.mjs';

const PIECE = Buffer.alloc(64 << 10, 'x');

/** Reads a body to its end, noting its size and digest; `pause` ms between pieces. */
async function swallow(request, record, pause = 0) {
    const hash = createHash('sha256');
    for await (const part of request) {
        record.bytes += part.length;
        hash.update(part);
        if (pause) await sleep(pause);
    }
    record.sha256 = hash.digest('hex');
}

async function send(response, record, n) {
    for (let left = n; left > 0 && !response.destroyed; left -= PIECE.length) {
        const part = PIECE.subarray(0, Math.min(left, PIECE.length));
        record.sent += part.length;
        if (!response.write(part))
            await Promise.race([once(response, 'drain'), once(response, 'close')]).catch(() => {});
    }
    response.end();
}

const forever = (response) => once(response, 'close').catch(() => {});

const BEHAVIOURS = {
    async echo(request, response, record) {
        await swallow(request, record);
        const { method, url, bytes, sha256, rawHeaders, httpVersion } = record;
        response.setHeader('Content-Type', 'application/json');
        response.end(JSON.stringify({ method, url, bytes, sha256, rawHeaders, httpVersion }));
    },
    async bytes(request, response, record, query) {
        const n = Number(query.get('n'));
        await swallow(request, record);
        response.writeHead(200, { 'Content-Length': n, 'Content-Type': 'application/octet-stream' });
        await send(response, record, n);
    },
    /** Without a length, in pieces of a byte. */
    async trickle(request, response, record, query) {
        await swallow(request, record);
        for (let i = 0; i < Number(query.get('n')); i++) {
            response.write(String(i % 10));
            await sleep(5);
        }
        response.end();
    },
    async stall(request, response, record) {
        await swallow(request, record);
        await forever(response);
    },
    async ['stall-mid'](request, response) {
        response.writeHead(200, { 'Content-Length': 1000 });
        response.write('the beginning');
        await forever(response);
    },
    async drop(request, response) {
        response.socket.destroy();
    },
    async ['reset-mid'](request, response, record, query) {
        response.writeHead(200, query.has('chunked') ? {} : { 'Content-Length': 1000 });
        response.write('the beginning');
        await sleep(50);
        response.socket.resetAndDestroy();
    },
    /** Says no before it has read anything. */
    async ['refuse-early'](request, response) {
        response.writeHead(413, { 'Content-Type': 'application/json', Connection: 'close' });
        response.end('{"errors":[{"message":"Too large.","extensions":{"code":"CONTENT_TOO_LARGE"}}]}');
    },
    async ['slow-read'](request, response, record) {
        request.pause();
        record.resume = () => swallow(request, record).then(() => response.end('read'));
        await forever(response);
    },
    async cookies(request, response) {
        response.writeHead(200, {
            'Set-Cookie': [
                'directus_session_token=a.b; Path=/; HttpOnly; SameSite=Lax',
                'b=2; Max-Age=5; path=/auth',
                'c=3',
            ],
            'Link': ['<a>', '<b>'],
            'Access-Control-Allow-Origin': 'https://upstream.example',
            'X-Request-Id': 'of-upstream',
            'Vary': 'Accept-Encoding',
            'Connection': 'close, X-Hop',
            'X-Hop': '1',
            'X-Powered-By': 'Directus',
        });
        response.end('{}');
    },
    async moved(request, response, record, query) {
        response.writeHead(302, { Location: query.get('to') });
        response.end();
    },
    async encoded(request, response) {
        response.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Length': 3, 'ETag': '"e"' });
        response.end(request.method === 'HEAD' ? undefined : Buffer.from([1, 2, 3]));
    },
    async status(request, response, record, query) {
        await swallow(request, record);
        response.writeHead(Number(query.get('is')), { ETag: '"e"' });
        response.end();
    },
    async headers(request, response, record, query) {
        response.setHeader('X-Large', 'x'.repeat(Number(query.get('n'))));
        response.end('{}');
    },
};

export class Upstream extends Listener {
    constructor() {
        super((request, response) => this.#answer(request, response));
        this.seen = [];
    }

    /** The last request for a path. */
    last(path) {
        return this.seen.findLast((record) => record.url.startsWith(path));
    }

    async #answer(request, response) {
        const { method, url, rawHeaders, httpVersion } = request;
        const record = { method, url, rawHeaders, httpVersion, bytes: 0, sent: 0, aborted: false };
        this.seen.push(record);
        response.on('close', () => {
            record.aborted = !response.writableFinished;
        });
        const { pathname, searchParams } = new URL(url, 'http://upstream');
        const behave = BEHAVIOURS[pathname.split('/')[1]] ?? BEHAVIOURS.echo;
        await behave(request, response, record, searchParams).catch((error) => {
            if (!request.destroyed && !response.destroyed) throw error;
        });
    }
}

export async function startUpstream(port) {
    const upstream = new Upstream();
    await upstream.start(port);
    return upstream;
}
