// SPDX-License-Identifier: MIT
//
// /api/directus passed on to a server in Directus's place: what arrives there and comes back, byte for byte, and what
// happens when either side is slow, leaves, stalls, or lies.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newDirectus } from '../support/directus.mjs';
import { signHmac as sign } from '../support/jwt.mjs';
import { freePort } from '../support/ports.mjs';
import { exchange, open } from '../support/raw.mjs';
import { eventually } from '../support/talk.mjs';
import { startUpstream } from '../support/upstream.mjs';

const MB = 1 << 20;
const LARGE = 200 * MB;
const RSS_GROWTH_MB = 64;

const headersOf = (echo) => {
    const list = [];
    for (let i = 0; i < echo.rawHeaders.length; i += 2)
        list.push([echo.rawHeaders[i].toLowerCase(), echo.rawHeaders[i + 1]]);
    return list;
};
const headerOf = (echo, name) =>
    headersOf(echo)
        .filter(([key]) => key === name)
        .map(([, value]) => value)
        .join('|');

function memory(pid) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const mb = (name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)[1]) / 1024;
    return { rss: mb('VmRSS'), sanitized: mb('VmSize') > MB };
}

describe('requests that are passed on', () => {
    let directus, upstream, genie;
    const P = '/api/directus';

    before(async () => {
        directus = await newDirectus(); // its database alone
        upstream = await startUpstream();
        genie = await directus.startGenie({
            env: {
                DIRECTUS_URL: upstream.url,
                DIRECTUS_TIMEOUT_S: '2',
                DIRECTUS_REQUESTS: '8',
                REQUEST_TIMEOUT_S: '5',
                MAX_UPLOAD_MB: '201',
            },
        });
    });
    after(async () => {
        await directus?.stop();
        await upstream?.stop();
    });

    const ask = (path, options) => genie.request(P + path, options);
    const echo = async (path, options) => (await ask(path, options)).json;
    const refused = async (answer, status, code) => {
        const { status: got, json } = await answer;
        assert.equal(got, status, JSON.stringify(json));
        assert.equal(json.errors[0].extensions.code, code);
        assert.ok(json.errors[0].message);
    };
    const raw = async (head, options) =>
        (await exchange(genie.port, head.join('\r\n') + '\r\n\r\n', options)).answers;

    test('every method, with the target byte for byte', async () => {
        for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'SEARCH']) {
            const target = "/echo/a%2Fb/%C3%A9~(x)*'!?filter[a][_eq]=1&q=%20+%7B%22x%22%3A1%7D&&x&=y";
            const body = method === 'GET' ? undefined : '{"a":1}';
            const [answer] = await raw([
                `${method} ${P}${target} HTTP/1.1`,
                'Host: genie.example',
                ...(body ? [`Content-Length: ${body.length}`, 'Content-Type: application/json'] : []),
                ...(body ? ['', body] : []),
            ]);
            assert.equal(answer.status, 200, answer.body);
            const seen = JSON.parse(answer.body);
            assert.equal(seen.method, method);
            assert.equal(seen.url, target);
            assert.equal(seen.bytes, body ? body.length : 0);
        }
        assert.equal((await echo('/echo/')).url, '/echo/');
        assert.equal((await ask('/echo', { method: 'OPTIONS' })).status, 204); // answered here
    });

    test('headers of the message go on, those of the connection do not', async () => {
        const seen = await echo('/echo', {
            headers: {
                'Authorization': 'Bearer static-token',
                'Cookie': 'a=1; directus_session_token=x',
                'Connection': 'keep-alive, X-Private',
                'X-Private': '1',
                'TE': 'trailers',
                'Proxy-Authorization': 'x',
                'Keep-Alive': '5',
                'X-Custom': 'a  b',
                'X-Empty': '',
                'Range': 'bytes=0-5',
                'If-None-Match': '"e"',
                'Accept-Encoding': 'gzip, br',
                'User-Agent': 'tester/1',
                'X-Request-Id': 'mine',
            },
        });
        for (const [name, value] of Object.entries({
            'authorization': 'Bearer static-token',
            'cookie': 'a=1; directus_session_token=x',
            'x-custom': 'a  b',
            'x-empty': '',
            'range': 'bytes=0-5',
            'if-none-match': '"e"',
            'accept-encoding': 'gzip, br',
            'user-agent': 'tester/1',
            'x-request-id': 'mine',
            'host': `127.0.0.1:${upstream.port}`,
        }))
            assert.equal(headerOf(seen, name), value, name);
        const names = headersOf(seen).map(([name]) => name);
        for (const name of [
            'x-private',
            'te',
            'proxy-authorization',
            'keep-alive',
            'expect',
            'accept',
            'content-type',
        ])
            assert.ok(!names.includes(name), name);
        assert.ok(names.includes('x-empty'));
    });

    test('who asks is said as genie knows it, whatever the client says', async () => {
        const seen = await echo('/echo', {
            headers: {
                'X-Forwarded-For': '1.1.1.1, 203.0.113.9',
                'X-Forwarded-Proto': 'https',
                'X-Forwarded-Host': 'public.example',
                'X-Real-IP': '6.6.6.6',
                'Forwarded': 'for=6.6.6.6',
            },
        });
        assert.equal(headerOf(seen, 'x-forwarded-for'), '203.0.113.9, 127.0.0.1');
        assert.equal(headerOf(seen, 'x-real-ip'), '203.0.113.9');
        assert.equal(headerOf(seen, 'x-forwarded-proto'), 'https');
        assert.equal(headerOf(seen, 'x-forwarded-host'), 'public.example');
        assert.equal(headerOf(seen, 'forwarded'), '');
        const direct = await echo('/echo', { headers: { Host: 'here.example' } });
        assert.equal(headerOf(direct, 'x-forwarded-for'), '127.0.0.1');
        assert.equal(headerOf(direct, 'x-forwarded-proto'), 'http');
        assert.equal(headerOf(direct, 'x-forwarded-host'), 'here.example');
    });

    test('cookies, redirects and headers of the answer', async () => {
        const answer = await ask('/cookies', { headers: { Origin: 'https://app.example' } });
        assert.deepEqual(answer.headers['set-cookie'].sort(), [
            'b=2; Max-Age=5; path=/api/directus/auth',
            'c=3',
            'directus_session_token=a.b; Path=/api/directus; HttpOnly; SameSite=Lax',
        ]);
        assert.equal(answer.headers.link.split(', ').sort().join(), '<a>,<b>');
        assert.equal(answer.headers['access-control-allow-origin'], 'https://app.example'); // one layer says it
        assert.match(answer.headers.vary, /Accept-Encoding/);
        assert.match(answer.headers.vary, /Origin/);
        assert.notEqual(answer.headers['x-request-id'], 'of-upstream');
        assert.equal(answer.headers['x-powered-by'], 'Directus');
        assert.equal(answer.headers['x-hop'], undefined);
        for (const [to, expected] of [
            ['/admin/login?x=1', '/api/directus/admin/login?x=1'],
            [`${upstream.url}/assets/1`, '/api/directus/assets/1'],
            ['https://elsewhere.example/x', 'https://elsewhere.example/x'],
            ['//elsewhere.example/x', '//elsewhere.example/x'],
            ['relative', 'relative'],
        ])
            assert.equal((await ask(`/moved?to=${encodeURIComponent(to)}`)).headers.location, expected);
    });

    test('statuses without a body, HEAD, and content that is encoded', async () => {
        for (const is of [204, 304]) {
            const answer = await ask(`/status?is=${is}`);
            assert.equal(answer.status, is);
            assert.equal(answer.bytes.length, 0);
            assert.equal(answer.headers.etag, '"e"');
        }
        for (const is of [200, 201, 400, 401, 403, 404, 500, 503])
            assert.equal((await ask(`/status?is=${is}`)).status, is);
        const encoded = await ask('/encoded');
        assert.deepEqual([...encoded.bytes], [1, 2, 3]);
        assert.equal(encoded.headers['content-encoding'], 'gzip');
        assert.equal(encoded.headers['content-length'], '3');
        const head = await ask('/encoded', { method: 'HEAD' });
        assert.equal(head.headers['content-length'], '3');
        assert.equal(head.bytes.length, 0);
        assert.equal(upstream.last('/encoded').method, 'HEAD');
        const [bare, next] = await raw(
            [`HEAD ${P}/trickle?n=3 HTTP/1.1`, 'Host: x', '', `GET ${P}/status?is=204 HTTP/1.1`, 'Host: x'],
            { answers: 2 },
        );
        assert.equal(bare.status, 200);
        assert.equal(next.status, 204); // nothing came between them
        const trickled = await ask('/trickle?n=30');
        assert.equal(trickled.headers['transfer-encoding'], 'chunked');
        assert.equal(trickled.text, '0123456789'.repeat(3));
        const old = await open(genie.port);
        old.send(`GET ${P}/trickle?n=5 HTTP/1.0\r\nHost: x\r\n\r\n`);
        assert.ok(await old.until((c) => c.ended));
        assert.equal(old.answers[0].body, '01234');
    });

    test('chunked bodies, in any pieces', async () => {
        const c = await open(genie.port);
        c.send(`POST ${P}/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
        for (const part of ['1\r\na\r\n', '2;x=y\r\nb', 'c\r\n', '0\r\nTrailer: x\r\n\r\n']) {
            c.send(part);
            await sleep(10);
        }
        assert.ok(await c.until(() => c.answers.length === 1));
        const seen = JSON.parse(c.answers[0].body);
        assert.equal(seen.bytes, 3);
        assert.equal(headerOf(seen, 'transfer-encoding'), 'chunked');
        c.send(`POST ${P}/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`); // and the connection lives on
        assert.ok(await c.until(() => c.answers.length === 2));
        assert.equal(headerOf(JSON.parse(c.answers[1].body), 'content-length'), '0');
        c.close();
    });

    test('connections to Directus are used again for reads', async () => {
        const before = upstream.connections;
        for (let i = 0; i < 5; i++) assert.equal((await echo('/echo')).httpVersion, '1.1');
        assert.ok(upstream.connections - before <= 1);
    });

    test('paths that could mean another one are refused', async () => {
        const before = upstream.seen.length;
        for (const path of [
            '/../users',
            '/a/..',
            '/a/../b',
            '/./a',
            '/%2e%2e/users',
            '/a/%2E./b',
            '/a%2f..%2fb',
            '/a/..%5Cb',
            '/a\\..\\b',
            '/a%0d%0ab',
            '/%zz',
            '/%',
        ]) {
            const [answer] = await raw([`GET ${P}${path} HTTP/1.1`, 'Host: x']);
            assert.equal(answer.status, 404, path);
        }
        for (const target of [
            '/api%2Fdirectus/x',
            '/api/directus%2Fx',
            '/API/directus/x',
            '/api//directus/x',
        ])
            assert.equal((await raw([`GET ${target} HTTP/1.1`, 'Host: x']))[0].status, 404, target);
        assert.equal(upstream.seen.length, before);
    });

    test('a NUL in path or query is refused', async () => {
        const before = upstream.seen.length;
        for (const target of ['/%00', '/a?b=%00', '/a%00/../b']) {
            const [answer] = await raw([`GET ${P}${target} HTTP/1.1`, 'Host: x']);
            assert.equal(answer.status, 400, target);
        }
        assert.equal(upstream.seen.length, before);
    });

    test('requests that could be read in two ways are refused', async () => {
        const before = upstream.seen.length;
        for (const lines of [
            ['Content-Length: 5', 'Transfer-Encoding: chunked'],
            ['Content-Length: 5', 'Content-Length: 6'],
            ['Transfer-Encoding: xchunked'],
            ['Transfer-Encoding: chunked, identity'],
            ['Content-Length : 5'],
            ['Transfer-Encoding : chunked'],
            ['X-A: b\x01c'],
            ['X(A): b'],
            ['Authorization: Bearer a', 'Authorization: Bearer b'],
        ]) {
            const c = await exchange(
                genie.port,
                [`POST ${P}/echo HTTP/1.1`, 'Host: x', ...lines, '', ''].join('\r\n'),
            );
            assert.ok(c.answers.length === 0 || c.answers[0].status >= 400, lines.join());
            assert.ok(await c.hungUp(), lines.join());
        }
        assert.equal(upstream.seen.length, before);
    });

    test('a token of an impersonation is refused, wherever it stands', async () => {
        const before = upstream.seen.length;
        const token = sign(
            { id: '6f0c2ab4-3f5e-4f6e-8a43-5d3a53ad1001', iss: 'directus', impersonated_by: 'x' },
            'any',
        );
        await refused(ask('/echo', { token }), 403, 'FORBIDDEN');
        await refused(ask('/echo', { headers: { Authorization: `bearer  ${token}` } }), 403, 'FORBIDDEN');
        await refused(ask(`/echo?access_token=${token}`), 403, 'FORBIDDEN');
        await refused(ask(`/echo?access%5Ftoken=%65${token.slice(1)}`), 403, 'FORBIDDEN');
        await refused(
            ask('/echo', { headers: { Cookie: `x=1; directus_session_token=${token}` } }),
            403,
            'FORBIDDEN',
        );
        await refused(
            ask('/echo', { headers: { Cookie: `directus_session_token="${token}"` } }),
            403,
            'FORBIDDEN',
        );
        assert.equal(upstream.seen.length, before);
        assert.equal((await ask('/echo', { token: 'expired.or.broken' })).status, 200); // Directus's to judge
    });

    test('websockets are refused with a sentence', async () => {
        await refused(
            ask('/websocket', { headers: { Connection: 'Upgrade', Upgrade: 'websocket' } }),
            501,
            'NOT_IMPLEMENTED',
        );
    });

    test('100-continue comes from here, and bodies have a limit', async () => {
        const c = await open(genie.port);
        c.send(`POST ${P}/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`);
        assert.ok(await c.until(() => c.text.includes('100 Continue')));
        c.send('ab');
        assert.ok(await c.until(() => c.text.includes('"bytes":2')));
        c.close();
        const [answer] = await raw([`POST ${P}/echo HTTP/1.1`, 'Host: x', `Content-Length: ${202 * MB}`]);
        assert.equal(answer.status, 413);
        assert.equal(JSON.parse(answer.body).errors[0].extensions.code, 'CONTENT_TOO_LARGE');
    });

    test('200 MB up and down, in little memory', { timeout: 120_000 }, async () => {
        await ask('/echo');
        const start = memory(genie.pid);
        let most = 0;
        const watch = setInterval(() => {
            most = Math.max(most, memory(genie.pid).rss);
        }, 50);
        const piece = Buffer.alloc(MB, 'u');
        const hash = createHash('sha256');
        const up = httpRequest(`${genie.url}${P}/echo`, {
            method: 'POST',
            headers: { 'Content-Length': LARGE },
        });
        const answered = once(up, 'response');
        for (let i = 0; i < LARGE / MB; i++) {
            hash.update(piece);
            if (!up.write(piece)) await once(up, 'drain');
        }
        up.end();
        const [answer] = await answered;
        const seen = JSON.parse(Buffer.concat(await answer.toArray()).toString());
        assert.equal(seen.bytes, LARGE);
        assert.equal(seen.sha256, hash.digest('hex'));
        const down = httpRequest(`${genie.url}${P}/bytes?n=${LARGE}`).end();
        const [incoming] = await once(down, 'response');
        let received = 0;
        for await (const part of incoming) received += part.length;
        clearInterval(watch);
        assert.equal(received, LARGE);
        assert.equal(incoming.headers['content-length'], String(LARGE));
        if (!start.sanitized)
            assert.ok(most - start.rss < RSS_GROWTH_MB, `grew from ${start.rss} to ${most} MB`);
    });

    test('a client that reads slowly holds Directus up, and loses nothing', async () => {
        const down = httpRequest(`${genie.url}${P}/bytes?n=${96 * MB}`).end();
        const [incoming] = await once(down, 'response');
        incoming.pause();
        await sleep(3000); // longer than DIRECTUS_TIMEOUT_S: it isn't Directus's turn
        const held = upstream.last('/bytes').sent;
        assert.ok(held < 64 * MB, `${held} were sent on`); // the system's own buffers take some
        let received = 0;
        for await (const part of incoming) received += part.length;
        assert.equal(received, 96 * MB);
    });

    test('a Directus that reads slowly holds the client up', async () => {
        const up = httpRequest(`${genie.url}${P}/slow-read`, {
            method: 'POST',
            headers: { 'Content-Length': 32 * MB },
        });
        up.on('error', () => {});
        const answered = once(up, 'response');
        const piece = Buffer.alloc(MB);
        let written = 0;
        const writing = (async () => {
            for (; written < 32; written++) if (!up.write(piece)) await once(up, 'drain');
            up.end();
        })();
        await sleep(1000);
        assert.ok(written < 30, `${written} MB were taken`);
        upstream.last('/slow-read').resume();
        await writing;
        const [incoming] = await answered;
        assert.equal(Buffer.concat(await incoming.toArray()).toString(), 'read');
        assert.equal(upstream.last('/slow-read').bytes, 32 * MB);
    });

    test('a client that leaves takes its request with it', async () => {
        const leave = async (path, head, when) => {
            const c = await open(genie.port);
            c.send(head);
            assert.ok(
                await eventually(async () => upstream.last(path) && when(c, upstream.last(path)), path),
            );
            c.close();
            upstream
                .last(path)
                .resume?.()
                .catch(() => {}); // or it would not notice
            await eventually(async () => upstream.last(path).aborted, `the end of ${path}`);
        };
        await leave('/stall?a', `GET ${P}/stall?a HTTP/1.1\r\nHost: x\r\n\r\n`, () => true);
        await leave(
            '/slow-read?b',
            `POST ${P}/slow-read?b HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n` +
                'x'.repeat(300_000),
            () => true,
        );
        await leave(
            '/stall?c',
            `POST ${P}/stall?c HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx`,
            () => true,
        );
        await leave('/stall-mid?d', `GET ${P}/stall-mid?d HTTP/1.1\r\nHost: x\r\n\r\n`, (c) =>
            c.text.includes('the beginning'),
        );
        await leave(
            `/bytes?n=${64 * MB}`,
            `GET ${P}/bytes?n=${64 * MB} HTTP/1.1\r\nHost: x\r\n\r\n`,
            (c) => c.received.length > 100_000,
        );
    });

    test('a Directus that says nothing, drops or resets', async () => {
        const stalled = ['GET', 'POST', 'SEARCH'].map((method) => ask('/stall', { method }));
        for (const answer of stalled) await refused(answer, 504, 'SERVICE_UNAVAILABLE');
        await refused(ask('/drop'), 502, 'SERVICE_UNAVAILABLE');
        await refused(ask('/drop', { method: 'POST', body: { a: 1 } }), 502, 'SERVICE_UNAVAILABLE');
        for (const path of ['/reset-mid', '/reset-mid?chunked', '/stall-mid']) {
            const c = await exchange(genie.port, `GET ${P}${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
            assert.ok(c.text.includes('the beginning'), path);
            assert.ok(!c.text.endsWith('0\r\n\r\n'), path);
            assert.equal(c.ended, true, path); // cut, so that the client can tell
        }
        await refused(ask('/headers?n=70000'), 502, 'SERVICE_UNAVAILABLE');
        assert.equal((await ask('/headers?n=10000')).headers['x-large'].length, 10000);
    });

    test('an answer that comes before the body is heard', async () => {
        const answer = await ask('/refuse-early', { method: 'POST', body: 'x'.repeat(5 * MB) });
        assert.equal(answer.status, 413);
        assert.equal(answer.json.errors[0].extensions.code, 'CONTENT_TOO_LARGE');
    });

    test('so many at a time, then 503', async () => {
        const held = [];
        for (let i = 0; i < 8; i++) {
            const c = await open(genie.port);
            c.send(`GET ${P}/stall-mid?held HTTP/1.1\r\nHost: x\r\n\r\n`);
            assert.ok(await c.until(() => c.text.includes('the beginning')));
            held.push(c);
        }
        const answer = await ask('/echo');
        assert.equal(answer.status, 503);
        assert.equal(answer.json.errors[0].extensions.code, 'SERVICE_UNAVAILABLE');
        assert.ok(answer.headers['retry-after']);
        for (const c of held) c.close();
        await eventually(async () => (await ask('/echo')).status === 200, 'room again');
    });

    test('a Directus that is down is said so at once, and found again', async () => {
        const { port } = upstream;
        await upstream.stop();
        await refused(ask('/echo'), 502, 'SERVICE_UNAVAILABLE');
        await refused(ask('/echo', { method: 'POST', body: 'x'.repeat(MB) }), 502, 'SERVICE_UNAVAILABLE');
        assert.equal((await genie.request('/api/ping')).status, 200);
        await upstream.start(port);
        assert.equal((await ask('/echo')).status, 200);
    });

    test('the description shows it', async () => {
        const { json } = await genie.request('/api/openapi.json');
        assert.ok(json.paths['/api/directus/{path}'].get);
        assert.equal(json.paths['/api/directus/items/{collection}'], undefined);
        const { status, headers } = await genie.request('/api/directus/x', { method: 'PROPFIND' });
        assert.equal(status, 405);
        assert.match(headers.allow, /SEARCH/);
    });
});

describe('the start with DIRECTUS_URL', () => {
    let directus;
    before(async () => {
        directus = await newDirectus();
    });
    after(async () => {
        await directus?.stop();
    });

    test('waits for no Directus, and stops while one is slow', async () => {
        const port = await freePort();
        const genie = await directus.startGenie({ env: { DIRECTUS_URL: `http://127.0.0.1:${port}/` } });
        assert.equal((await genie.request('/api/directus/x')).status, 502);
        const upstream = await startUpstream(port);
        const c = await open(genie.port);
        c.send(
            'POST /api/directus/slow-read HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n' +
                'x'.repeat(500_000),
        );
        await eventually(async () => upstream.last('/slow-read'), 'the request');
        await genie.stop();
        c.close();
        await upstream.stop();
    });

    test('a path in the address stands before every target', async () => {
        const upstream = await startUpstream();
        const genie = await directus.startGenie({ env: { DIRECTUS_URL: `${upstream.url}/cms/` } });
        assert.equal((await genie.request('/api/directus/x?y')).json.url, '/cms/x?y');
        await genie.stop();
        await upstream.stop();
    });

    test('stops with a sentence where the settings do not fit', async () => {
        const genie = directus.genie();
        const fail = async (env) => (await genie.cli(['serve'], { env, expect: 1 })).stderr;
        assert.match(await fail({ DIRECTUS_URL: 'http://127.0.0.1:1', DATABASE_URL: '' }), /DATABASE_URL/);
        assert.match(await fail({ DIRECTUS_URL: 'ftp://x' }), /DIRECTUS_URL must be an address/);
        assert.match(await fail({ DIRECTUS_URL: 'http://user:pw@x' }), /DIRECTUS_URL must be an address/);
        const other = await startPlain();
        const { stderr } = await other.cli(['serve'], {
            env: { DIRECTUS_URL: 'http://127.0.0.1:1' },
            expect: 1,
        });
        assert.match(stderr, /not the database of a Directus/);
        await other.stop();
    });
});

/** A genie on a database of its own. */
async function startPlain() {
    const { Genie } = await import('../support/genie.mjs');
    return new Genie({ store: 'postgres' });
}
