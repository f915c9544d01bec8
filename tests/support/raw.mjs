// SPDX-License-Identifier: MIT
//
// Raw TCP conversations with an HTTP server, for requests that no HTTP client would send.

import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** An open connection that collects what arrives and notes how it ended. */
export class Connection {
    constructor(socket) {
        this.socket = socket;
        this.received = Buffer.alloc(0);
        this.ended = false; // the peer sent FIN or RST
        this.error = null;
        socket.on('data', (part) => {
            this.received = Buffer.concat([this.received, part]);
        });
        socket.on('error', (error) => {
            this.error = error;
        });
        socket.on('end', () => {
            this.ended = true;
        });
        this.closed = new Promise((resolve) => {
            socket.on('close', () => {
                this.ended = true;
                resolve();
            });
        });
    }

    /** Writes unless the peer is gone; a peer that hangs up on nonsense is no failure of the test. */
    send(data) {
        if (!this.socket.destroyed && this.socket.writable) this.socket.write(data);
        return this;
    }

    get text() {
        return this.received.toString('latin1');
    }

    get answers() {
        return parseAnswers(this.received);
    }

    /** Waits until `look(this)` is true or the peer has closed; false after the limit. */
    async until(look, limitMs = 60_000) {
        const deadline = performance.now() + limitMs;
        while (performance.now() < deadline) {
            if (look(this)) return true;
            if (this.ended) return look(this);
            await sleep(10);
        }
        return false;
    }

    /** True once the peer closed within the limit. */
    async hungUp(limitMs = 60_000) {
        const limit = new AbortController();
        const timer = sleep(limitMs, false, { signal: limit.signal }).catch(() => false);
        const result = await Promise.race([this.closed.then(() => true), timer]);
        limit.abort();
        return result;
    }

    close() {
        this.socket.destroy();
    }
}

export async function open(port, host = '127.0.0.1') {
    const socket = connect({ port, host, noDelay: true });
    await once(socket, 'connect');
    return new Connection(socket);
}

/** Sends bytes, waits for `answers` whole answers or the close, and returns the connection. */
export async function exchange(port, data, { answers = 1, limitMs } = {}) {
    const connection = await open(port);
    connection.send(data);
    await connection.until((c) => c.answers.length >= answers, limitMs);
    connection.close();
    return connection;
}

function headersOf(head) {
    const headers = {};
    for (const line of head.split('\r\n').slice(1)) {
        const colon = line.indexOf(':');
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    return headers;
}

/** {end, body} of a chunked body at `at`, or null while it is not whole. */
function readChunks(bytes, at) {
    const parts = [];
    for (;;) {
        const lineEnd = bytes.indexOf('\r\n', at);
        if (lineEnd < 0) return null;
        const size = parseInt(bytes.toString('latin1', at, lineEnd), 16);
        if (Number.isNaN(size)) throw new Error('not a chunk size');
        const end = lineEnd + 2 + size + 2;
        if (end > bytes.length) return null;
        if (size === 0) return { end, body: Buffer.concat(parts) };
        parts.push(bytes.subarray(lineEnd + 2, end - 2));
        at = end;
    }
}

/** {end, body} of the body at `start`, or null while it is not whole; without a length, all there is. */
function readBody(bytes, start, status, headers) {
    const upTo = (end) => (end > bytes.length ? null : { end, body: bytes.subarray(start, end) });
    if (status < 200 || status === 204 || status === 304) return upTo(start);
    if (headers['content-length'] !== undefined) return upTo(start + Number(headers['content-length']));
    if (/chunked/i.test(headers['transfer-encoding'] ?? '')) return readChunks(bytes, start);
    return upTo(bytes.length);
}

/** The whole answers at the start of `bytes`: [{status, headers, body}]; a HEAD's has no body bytes. */
export function parseAnswers(bytes) {
    const answers = [];
    for (let at = 0; at < bytes.length; ) {
        const headEnd = bytes.indexOf('\r\n\r\n', at);
        if (headEnd < 0) break;
        const head = bytes.toString('latin1', at, headEnd);
        const match = /^HTTP\/1\.[01] (\d{3})/.exec(head);
        if (!match) throw new Error(`not an HTTP answer: ${JSON.stringify(head.slice(0, 80))}`);
        const headers = headersOf(head);
        const read = readBody(bytes, headEnd + 4, Number(match[1]), headers);
        if (!read) break;
        answers.push({ status: Number(match[1]), headers, body: read.body.toString('utf8') });
        at = read.end;
    }
    return answers;
}
