// SPDX-License-Identifier: MIT
//
// The server against clients that are broken, slow, greedy or malicious, over raw sockets; and the
// leniency that real clients of this family need. After every test the server must be well.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGenie } from '../support/genie.mjs';
import { exchange, open } from '../support/raw.mjs';

const KIB = 1024;
const MIB = 1024 * KIB;
const CHAT = '/api/genie/stream-chat';
const HOST = 'Host: 127.0.0.1\r\n';
const PING = `GET /api/ping HTTP/1.1\r\n${HOST}\r\n`;

/** The head of a chat request with these header lines, without a token. */
const chatHead = (...lines) => `POST ${CHAT} HTTP/1.1\r\n${HOST}${lines.map((l) => `${l}\r\n`).join('')}\r\n`;
const chatAs = (token, ...lines) =>
    chatHead(`Authorization: Bearer ${token}`, 'Content-Type: application/json', ...lines);
const CHUNKED = 'Transfer-Encoding: chunked';
const LAST_CHUNK = '0\r\n\r\n';

let server, user;

before(async () => {
    server = await startGenie({ env: { REQUEST_TIMEOUT_S: '5' } });
    user = await server.addUser({ tier: 'studio' });
});
after(async () => {
    await server.stop();
});
afterEach(async () => {
    await server.assertWell();
});

const ping = (options) => server.request('/api/ping', options);
const say = (options) => server.request(CHAT, { method: 'POST', token: user.token, ...options });

/** Sends bytes on a connection of their own; the answers, none of them a success. */
async function refused(bytes, what, limitMs) {
    const connection = await exchange(server.port, bytes, { limitMs });
    assert.ok(connection.ended || connection.answers.length > 0, `${what}: neither answered nor closed`);
    for (const { status } of connection.answers)
        assert.ok(status >= 400 && status <= 505, `${what}: answered ${status}`);
    return connection;
}

function assertError(answer, status) {
    assert.equal(answer.status, status, answer.text?.slice(0, 200));
    assert.equal(answer.json?.ok, false);
    assert.equal(typeof answer.json.error, 'string');
    assert.match(answer.json.code, /^[a-z][a-z0-9_]*$/);
}

describe('requests that are none', () => {
    for (const [what, bytes] of Object.entries({
        'a word': 'GARBAGE\r\n\r\n',
        'NUL bytes': '\0\0\0\0\r\n\r\n',
        'a method alone': 'GET\r\n\r\n',
        'a TLS greeting': Buffer.from('16030100a5010000a10303\r\n\r\n', 'latin1'),
        'a real TLS greeting': Buffer.concat([
            Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]),
            Buffer.from('\r\n\r\n'),
        ]),
        'HTTP/2 with prior knowledge': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        'a version of the far future': `GET /api/ping HTTP/9.9\r\n${HOST}\r\n`,
        'a version that is none': `GET /api/ping FTP/1.1\r\n${HOST}\r\n`,
        'HTTP/1.1 without Host': 'GET /api/ping HTTP/1.1\r\n\r\n',
        'a negative Content-Length': chatHead('Content-Length: -1'),
        'a Content-Length beyond 64 bits': chatHead('Content-Length: 99999999999999999999'),
        'a Content-Length in words': chatHead('Content-Length: ten'),
        'a chunk size that is none': `${chatHead(CHUNKED)}zz\r\n\r\n`,
        'a chunk size beyond 64 bits': `${chatHead(CHUNKED)}fffffffffffffffff\r\n\r\n`,
    }))
        test(`${what}: refused or hung up on`, async () => {
            await refused(bytes, what);
        });

    test('500 connections of random bytes do no harm', async () => {
        for (let round = 0; round < 500; round++) {
            const bytes = Buffer.from(
                Array.from({ length: 64 }, (_, i) => (round * 31 + i * i * 7 + (i ^ round)) & 255),
            );
            const connection = await open(server.port);
            connection.send(bytes).send('\r\n\r\n');
            connection.socket.end();
            await connection.hungUp();
            for (const { status } of connection.answers) assert.ok(status >= 400, `answered ${status}`);
            connection.close();
        }
    });

    test('200 requests broken off by a reset do no harm', async () => {
        const head = chatAs(user.token, 'Content-Length: 50');
        for (let at = 0; at < 200; at++) {
            const connection = await open(server.port);
            connection.send(head.slice(0, 1 + ((at * 7) % head.length)));
            await sleep(at % 3);
            connection.socket.resetAndDestroy();
        }
    });
});

describe('requests with two readings', () => {
    const hidden = `GET /api/ping HTTP/1.1\r\n${HOST}X-Request-Id: smuggled\r\n\r\n`;

    for (const [what, bytes] of Object.entries({
        'Content-Length and chunked':
            chatHead(`Content-Length: ${5 + hidden.length}`, CHUNKED) + LAST_CHUNK + hidden,
        'two different Content-Lengths':
            chatHead('Content-Length: 0', `Content-Length: ${hidden.length}`) + hidden,
        'an encoding that is not chunked':
            chatHead('Transfer-Encoding: xchunked', `Content-Length: ${hidden.length}`) + hidden,
    }))
        test(`${what}: what hides in the body is never answered`, async () => {
            const connection = await exchange(server.port, bytes, { answers: 2, limitMs: 3000 });
            assert.ok(!connection.text.includes('smuggled'), connection.text);
        });
});

/** Sends a piece of 64 KiB again and again, 64 MiB at most, until the server has had enough. */
async function flood(connection, piece) {
    for (let sent = 0; sent < 1024 && !connection.ended && connection.answers.length === 0; sent++) {
        connection.send(piece);
        await sleep(1);
    }
}

describe('too much', () => {
    for (const size of [17 * KIB, 64 * KIB, MIB])
        test(`a header of ${size / KIB} KiB: 431 or hung up on`, async () => {
            const { answers } = await refused(
                `GET /api/ping HTTP/1.1\r\n${HOST}X-Big: ${'x'.repeat(size)}\r\n\r\n`,
                'big header',
            );
            assert.ok(
                answers.every(({ status }) => status === 431),
                JSON.stringify(answers),
            );
        });

    test('a token of 20 KiB: 431 or hung up on', async () => {
        const { answers } = await refused(
            `GET /api/genie/history HTTP/1.1\r\n${HOST}Authorization: Bearer ` +
                `${'x'.repeat(20 * KIB)}\r\n\r\n`,
            'big token',
        );
        assert.ok(
            answers.every(({ status }) => status === 431),
            JSON.stringify(answers),
        );
    });

    test('5,000 headers: refused', async () => {
        const many = Array.from({ length: 5000 }, (_, i) => `X-${i}: ${i}\r\n`).join('');
        await refused(`GET /api/ping HTTP/1.1\r\n${HOST}${many}\r\n`, 'many headers');
    });

    test('a header that never ends: hung up on', async () => {
        const connection = await open(server.port);
        connection.send(`GET /api/ping HTTP/1.1\r\n${HOST}X-Endless: `);
        await flood(connection, 'x'.repeat(64 * KIB));
        assert.ok(connection.ended || connection.answers[0]?.status === 431);
        connection.close();
    });

    test('a URL of 64 KiB: 414, 431 or hung up on', async () => {
        const { answers } = await refused(
            `GET /api/ping?${'q'.repeat(64 * KIB)} HTTP/1.1\r\n${HOST}\r\n`,
            'long URL',
        );
        assert.ok(
            answers.every(({ status }) => status === 414 || status === 431),
            JSON.stringify(answers),
        );
    });

    const padded = (size) => {
        const frame = JSON.stringify({ message: 'hello', pad: '' });
        return frame.slice(0, -2) + 'p'.repeat(size - frame.length) + frame.slice(-2);
    };

    test('a chat of 16 MiB is read', async () => {
        const headers = { 'Content-Type': 'application/json' };
        assert.equal((await say({ body: padded(16 * MIB), headers })).status, 200);
    });

    // Only the head is sent: a server that answers early and hangs up would else reset the connection
    // under the rest of the body, and the answer with it.
    for (const [what, head] of Object.entries({
        'a byte over 1 MiB on an ordinary route': () =>
            chatAs(user.token, `Content-Length: ${MIB + 1}`).replace(CHAT, '/api/directus/auth/login'),
        'a chat a byte over 16 MiB': () => chatAs(user.token, `Content-Length: ${16 * MIB + 1}`),
        'a chat of 10 GiB': () => chatAs(user.token, `Content-Length: ${10 * KIB * MIB}`),
    }))
        test(`${what}, announced: 413 without reading it`, async () => {
            const { answers } = await exchange(server.port, head());
            assert.equal(answers[0]?.status, 413);
            if (what.includes('chat')) {
                const { ok, code } = JSON.parse(answers[0].body);
                assert.equal(ok, false);
                assert.match(code, /^[a-z][a-z0-9_]*$/);
            }
        });

    test('a body that is too large, sent whole: 413 or hung up on', async () => {
        const connection = await open(server.port);
        connection.send(chatAs(user.token, `Content-Length: ${17 * MIB}`)).send(padded(17 * MIB));
        await connection.until((c) => c.answers.length > 0);
        assert.ok(connection.ended || connection.answers[0]?.status === 413);
        connection.close();
    });

    test('a chunked body without end is refused', async () => {
        const connection = await open(server.port);
        connection.send(chatAs(user.token, CHUNKED));
        const chunk = `10000\r\n${'x'.repeat(64 * KIB)}\r\n`;
        await flood(connection, chunk);
        assert.ok(connection.ended || connection.answers[0]?.status === 413);
        connection.close();
    });
});

describe('bodies of nobody we know', () => {
    test('have little room: who has an account is served all the same', async () => {
        const junk = 'no-token-of-ours';
        const strange = () => say({ token: junk, body: { message: 'hello', padding: 'x'.repeat(9 * MIB) } });
        const holders = await Promise.all(Array.from({ length: 9 }, () => open(server.port)));
        try {
            for (const holder of holders) {
                holder.send(chatAs(junk, `Content-Length: ${15 * MIB}`));
                holder.send(Buffer.alloc(7.9 * MIB, ' '));
            }
            let status;
            for (let look = 0; look < 50 && status !== 503; look++) status = (await strange()).status;
            assert.equal(status, 503);
            assert.equal((await say({ body: { message: 'hello' } })).status, 200);
            const known = await say({ body: { message: 'hello', padding: 'x'.repeat(9 * MIB) } });
            assert.equal(known.status, 200, known.text);
        } finally {
            for (const holder of holders) holder.close();
        }
        let status;
        for (let look = 0; look < 50 && status !== 401; look++) status = (await strange()).status;
        assert.equal(status, 401);
    });
});

describe('too slow', { concurrency: true }, () => {
    /** Sends a byte a second until the server hangs up; fails if it never does. */
    async function drip(start, rest) {
        const connection = await open(server.port);
        connection.send(start);
        const deadline = performance.now() + 75_000;
        for (let at = 0; !connection.ended && performance.now() < deadline; at++) {
            connection.send(rest[at % rest.length]);
            await sleep(1000);
        }
        const { ended, answers } = connection;
        connection.close();
        assert.ok(ended, 'the server still waits');
        for (const { status } of answers) assert.equal(status, 408);
    }

    test('a head a byte a second is hung up on', async () => {
        await drip(`GET /api/ping HTTP/1.1\r\n${HOST}X-Slow: `, 'x');
    });

    test('a request line a byte a second is hung up on', async () => {
        await drip('GET /api/ping?', 'q');
    });

    test('a body a byte a second is hung up on', async () => {
        await drip(chatAs(user.token, 'Content-Length: 1000'), ' ');
    });

    test('a chunked body a byte a second is hung up on', async () => {
        await drip(chatAs(user.token, CHUNKED), ['1\r\n \r\n']);
    });

    test('a client that says nothing at all is hung up on', async () => {
        await drip('', ['']);
    });

    test('everybody else is served meanwhile', async () => {
        for (let i = 0; i < 20; i++) {
            assert.equal((await ping()).status, 200);
            await sleep(500);
        }
    });
});

describe('too many', () => {
    test("1,000 idle connections don't stop the service", async () => {
        const idle = await Promise.all(Array.from({ length: 1000 }, () => open(server.port)));
        try {
            for (let i = 0; i < 20; i++) assert.equal((await ping()).status, 200);
            assert.equal((await say({ body: { message: 'hello' } })).status, 200);
            for (const connection of [idle[0], idle[499], idle[999]]) {
                connection.send(PING);
                assert.ok(await connection.until((c) => c.answers.length === 1));
                assert.equal(connection.answers[0].status, 200);
            }
        } finally {
            for (const connection of idle) connection.close();
        }
    });

    test('1,000 connections that are dropped at once leave nothing behind', async () => {
        for (let round = 0; round < 3; round++) {
            const all = await Promise.all(Array.from({ length: 1000 }, () => open(server.port)));
            for (const connection of all) {
                connection.send('GET /api/ping HTTP/1.1\r\n');
                connection.socket.resetAndDestroy();
            }
            assert.equal((await ping()).status, 200);
        }
    });
});

describe('several on one connection', () => {
    test('pipelined requests are answered all, in order', async () => {
        const ids = Array.from({ length: 20 }, (_, i) => `pipelined-${i}`);
        const bytes = ids.map((id) => PING.replace('\r\n\r\n', `\r\nX-Request-Id: ${id}\r\n\r\n`)).join('');
        const { answers } = await exchange(server.port, bytes, { answers: 20 });
        assert.deepEqual(
            answers.map((a) => a.headers['x-request-id']),
            ids,
        );
        assert.ok(answers.every((a) => a.status === 200 && JSON.parse(a.body).online === true));
    });

    test('a request split at every byte is one request', async () => {
        const connection = await open(server.port);
        for (const byte of PING) {
            connection.send(byte);
            await sleep(1);
        }
        assert.ok(await connection.until((c) => c.answers.length === 1));
        assert.equal(connection.answers[0].status, 200);
        connection.close();
    });

    test('after a refused body the connection is closed or goes on cleanly', async () => {
        const bad = '{"message":';
        const bytes = chatAs(user.token, `Content-Length: ${bad.length}`) + bad + PING;
        const { answers } = await exchange(server.port, bytes, { answers: 2, limitMs: 5000 });
        assert.equal(answers[0].status, 400);
        assert.ok(answers.length === 1 || answers[1].status === 200);
    });

    test('HTTP/1.0 is answered and closed', async () => {
        const connection = await open(server.port);
        connection.send('GET /api/ping HTTP/1.0\r\n\r\n');
        assert.ok(await connection.hungUp());
        assert.match(connection.text, /^HTTP\/1\.[01] 200 [^]*\{"online":true\}$/);
    });

    test('Expect: 100-continue is honoured', async () => {
        const connection = await open(server.port);
        const body = '{"message":""}';
        connection.send(chatAs(user.token, `Content-Length: ${body.length}`, 'Expect: 100-continue'));
        await connection.until((c) => c.answers.length >= 1);
        assert.equal(connection.answers[0].status, 100);
        connection.send(body);
        await connection.until((c) => c.answers.length >= 2);
        assert.equal(connection.answers[1].status, 400);
        connection.close();
    });
});

describe('methods and paths', () => {
    for (const [method, path, allowed] of [
        ['DELETE', '/api/ping', 'GET'],
        ['POST', '/api/ping', 'GET'],
        ['GET', CHAT, 'POST'],
        ['PUT', CHAT, 'POST'],
        ['PATCH', '/api/genie/history', 'GET'],
    ])
        test(`${method} ${path}: 405, and Allow names ${allowed}`, async () => {
            const answer = await server.request(path, { method, token: user.token });
            assertError(answer, 405);
            const allow = answer.headers.allow.split(/\s*,\s*/);
            assert.ok(allow.includes(allowed) && !allow.includes(method), answer.headers.allow);
            if (allowed === 'GET') assert.ok(allow.includes('HEAD'), answer.headers.allow);
        });

    test('a method nobody knows: 405 or 501', async () => {
        const { answers } = await exchange(server.port, `BREW /api/ping HTTP/1.1\r\n${HOST}\r\n`);
        assert.ok([405, 501].includes(answers[0]?.status), JSON.stringify(answers));
    });

    test('HEAD has the headers of GET and no body', async () => {
        const get = await ping();
        const head = await ping({ method: 'HEAD' });
        assert.equal(head.status, 200);
        assert.equal(head.bytes.length, 0);
        for (const name of ['content-type', 'content-length'])
            assert.equal(head.headers[name], get.headers[name], name);
        const bytes = PING.replace('GET', 'HEAD') + PING;
        const connection = await open(server.port);
        connection.send(bytes);
        await connection.until((c) => c.text.includes('{"online":true}'));
        assert.equal(connection.text.match(/HTTP\/1\.1 200/g).length, 2);
        connection.close();
    });

    test('an unknown path: 404 with a body, whoever asks', async () => {
        for (const token of [undefined, user.token])
            assertError(await server.request('/api/no-such-thing', { token }), 404);
    });

    for (const path of [
        '/api/ping%00',
        '/api/pi%00ng',
        '/%00',
        '/api/genie/stream-chat/%00',
        '/api/genie/history?limit=%00',
        '/api/genie/history?limit=2%000',
        '/api/genie/history?lim%00it=2',
        '/api/no-such-thing?%00',
    ])
        test(`GET ${path} is refused for its NUL, not cut there`, async () => {
            assertError(await server.request(path, { token: user.token }), 400);
        });

    test('a NUL behind a percent sign of its own, and the target after a refused one, are taken', async () => {
        assert.equal((await server.request('/api/ping?x=%2500')).status, 200);
        const connection = await exchange(
            server.port,
            `GET /api/ping%00 HTTP/1.1\r\n${HOST}\r\nGET /api/ping HTTP/1.1\r\n${HOST}\r\n`,
            { answers: 2 },
        );
        assert.deepEqual(
            connection.answers.map(({ status }) => status),
            [400, 200],
        );
    });

    for (const path of [
        '/../../../../etc/passwd',
        '/api/../../etc/passwd',
        '/api/docs/%2e%2e/%2e%2e/etc/passwd',
        '/api/docs/..%2f..%2fetc%2fpasswd',
        '//etc/passwd',
        '/api/ping/%ff%fe',
        '/api/ping?%zz=%',
        '/%',
        '/*',
        '/api//ping',
    ])
        test(`GET ${path} gives no file away and breaks nothing`, async () => {
            const { answers, ended } = await exchange(server.port, `GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
            assert.ok(ended || answers.length === 1);
            for (const { status, body } of answers) {
                assert.ok(status < 500, `answered ${status}`);
                assert.doesNotMatch(body, /root:/);
            }
        });
});

describe('bodies', () => {
    const raw = (body, type) => say({ body, headers: type === undefined ? {} : { 'Content-Type': type } });

    for (const type of [
        'application/json',
        'application/json; charset=utf-8',
        'text/plain',
        'text/plain;charset=UTF-8',
        undefined,
    ])
        test(`JSON sent as ${type ?? 'no type at all'} is read as JSON`, async () => {
            const answer = await raw('{"message":"hello"}', type);
            assert.equal(answer.status, 200, answer.text);
            assert.match(answer.headers['content-type'], /^text\/event-stream\b/);
        });

    for (const type of ['image/png', 'multipart/form-data; boundary=x'])
        test(`${type}: 415`, async () => {
            assertError(await raw('{"message":"hello"}', type), 415);
        });

    for (const [what, body] of Object.entries({
        'nothing': '',
        'spaces': '   ',
        'half an object': '{"message":"hello"',
        'two objects': '{"message":"a"}{"message":"b"}',
        'a list': '["message"]',
        'a string': '"message"',
        'null': 'null',
        'a number beyond all bounds': '{"message":"x","n":1e99999}',
        'single quotes': "{'message':'hello'}",
        'a comment': '{"message":"hello"/**/}',
        'bytes that are not UTF-8': Buffer.from([
            ...Buffer.from('{"message":"'),
            0xc3,
            0x28,
            ...Buffer.from('"}'),
        ]),
        'UTF-8 longer than need be': Buffer.from([
            ...Buffer.from('{"message":"'),
            0xc0,
            0xaf,
            ...Buffer.from('"}'),
        ]),
        'half a surrogate pair': '{"message":"\\ud800"}',
        '100,000 open brackets': '['.repeat(100_000),
        '100,000 nested objects': `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
        'a message that is a number': '{"message":1}',
        'a message that is null': '{"message":null}',
        'a message that is a list': '{"message":["hello"]}',
        'no message': '{"text":"hello"}',
    }))
        test(`${what}: 400`, async () => {
            assertError(await raw(body, 'application/json'), 400);
        });
});

describe('headers', () => {
    test('Authorization: null is no token', async () => {
        const headers = { Authorization: 'null' };
        assert.equal((await ping({ headers })).status, 200);
        const answer = await server.request('/api/genie/history', { headers });
        const bare = await server.request('/api/genie/history');
        assertError(answer, 401);
        assert.deepEqual(answer.json, bare.json);
    });

    test('two Authorization headers are not both believed', async () => {
        const bytes =
            `GET /api/genie/history HTTP/1.1\r\n${HOST}Authorization: Bearer nonsense\r\n` +
            `Authorization: Bearer ${user.token}\r\n\r\n`;
        const { answers } = await exchange(server.port, bytes);
        assert.ok([400, 401].includes(answers[0]?.status), JSON.stringify(answers));
    });

    test('bytes above ASCII in a header are no reason to fall', async () => {
        for (const value of ['Bearer \xff\xfe\x80', 'Bearer \x01\x02', '\x7f'])
            await refused(
                Buffer.from(
                    `GET /api/genie/history HTTP/1.1\r\n${HOST}Authorization: ${value}\r\n\r\n`,
                    'latin1',
                ),
                'odd bytes',
            );
    });

    test('a sane X-Request-Id is echoed', async () => {
        for (const id of ['abc-123', '0b6d3a5e-6f6e-4b0e-9a53-1df1a3a0f2a5', 'A_1.b'])
            assert.equal((await ping({ headers: { 'X-Request-Id': id } })).headers['x-request-id'], id);
    });

    test('any other is replaced by one of our own, each different', async () => {
        const seen = new Set();
        for (const id of [
            undefined,
            '',
            'x'.repeat(300),
            'a b',
            '"quoted"',
            '<script>',
            '{"a":1}',
            '\xe9',
            '${x}',
            "a'b",
        ]) {
            const given = id === undefined ? {} : { 'X-Request-Id': id };
            const own = (await ping({ headers: given })).headers['x-request-id'];
            assert.match(own, /^[A-Za-z0-9._-]{8,128}$/, JSON.stringify(id));
            assert.notEqual(own, id);
            seen.add(own);
        }
        assert.equal(seen.size, 10);
    });

    test('errors carry an X-Request-Id too', async () => {
        const answer = await server.request('/api/no-such-thing', { headers: { 'X-Request-Id': 'lost-1' } });
        assert.equal(answer.headers['x-request-id'], 'lost-1');
    });
});

describe('CORS', () => {
    const Origin = 'https://app.example.com';
    const preflight = (to, origin = Origin) =>
        to.request(CHAT, {
            method: 'OPTIONS',
            headers: {
                Origin: origin,
                'Access-Control-Request-Method': 'POST',
                'Access-Control-Request-Headers': 'authorization,content-type,last-event-id',
            },
        });

    test('a preflight is 204, without a token', async () => {
        const { status, headers, bytes } = await preflight(server);
        assert.equal(status, 204);
        assert.equal(bytes.length, 0);
        assert.equal(headers['access-control-allow-origin'], Origin);
        assert.match(headers['access-control-allow-methods'], /\bPOST\b/);
        for (const name of ['authorization', 'content-type', 'last-event-id'])
            assert.match(
                headers['access-control-allow-headers'].toLowerCase(),
                new RegExp(`(^|[ ,])${name}($|[ ,])|\\*`),
            );
        assert.equal(headers['access-control-allow-credentials'], undefined);
        assert.match(headers.vary ?? '', /origin/i);
    });

    test('answers reflect the origin, refusals too', async () => {
        for (const path of ['/api/ping', '/api/genie/history', '/api/no-such-thing']) {
            const { headers } = await server.request(path, { headers: { Origin } });
            assert.equal(headers['access-control-allow-origin'], Origin, path);
            assert.equal(headers['access-control-allow-credentials'], undefined, path);
        }
    });

    test('an origin cannot inject headers', async () => {
        const { answers, text } = await exchange(
            server.port,
            `GET /api/ping HTTP/1.1\r\n${HOST}Origin: https://a\tX-Evil: 1\r\n\r\n`,
        );
        assert.ok(answers.length === 0 || !/^x-evil:/im.test(text));
    });

    test('with CORS_ORIGINS set, others are not let in', async () => {
        const strict = await startGenie({
            env: { CORS_ORIGINS: 'https://one.example.com,https://two.example.com' },
        });
        try {
            assert.equal(
                (await preflight(strict, 'https://two.example.com')).headers['access-control-allow-origin'],
                'https://two.example.com',
            );
            for (const origin of [
                Origin,
                'null',
                'https://two.example.com.evil.com',
                'http://two.example.com',
            ])
                assert.equal(
                    (await preflight(strict, origin)).headers['access-control-allow-origin'],
                    undefined,
                    origin,
                );
        } finally {
            await strict.stop();
        }
    });
});
