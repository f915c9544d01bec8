// SPDX-License-Identifier: MIT
//
// Puts body bytes on the wire in chosen pieces. Bytes wait in `held` until a cut is reached, so that a
// piece may span several lines and a line several pieces. Every piece is its own write, with a turn of
// the event loop (or `gap` ms) in between, and TCP_NODELAY is on.

import { STATUS_CODES } from 'node:http';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

/** The next cut after `offset`, in bytes from the start. */
function nextCut(split, offset) {
    if (Array.isArray(split)) return split.find((cut) => cut > offset) ?? Infinity;
    if (Number.isInteger(split)) return (Math.floor(offset / split) + 1) * split;
    return Infinity;
}

const chunk = (bytes) =>
    Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

export class Writer {
    constructor(exchange, response, script) {
        this.exchange = exchange;
        this.response = response;
        this.script = script;
        this.raw = Number.isInteger(script.wire);
        this.split = this.raw ? script.wire : (script.split ?? 'frame');
        this.held = Buffer.alloc(0);
        this.sent = 0;
        response.socket?.setNoDelay(true);
    }

    /** `length` is the size of a body known beforehand. */
    async head(status, headers, length) {
        this.exchange.status = status;
        if (!this.raw) {
            this.response.writeHead(
                status,
                length === undefined ? headers : { ...headers, 'Content-Length': length },
            );
            this.response.flushHeaders();
            return;
        }
        const lines = Object.entries({ ...headers, 'Transfer-Encoding': 'chunked', Connection: 'close' }).map(
            ([name, value]) => `${name}: ${value}\r\n`,
        );
        await this.#hold(
            Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`),
        );
    }

    async body(piece) {
        const bytes = Buffer.isBuffer(piece) ? piece : Buffer.from(piece);
        if (bytes.length === 0) return;
        await this.#hold(this.raw ? chunk(bytes) : bytes);
        if (this.split === 'frame') await this.flush();
    }

    /** Sends what is held, e.g. before a pause. */
    async flush() {
        if (this.held.length > 0) await this.#put(this.held);
        this.held = Buffer.alloc(0);
    }

    async end() {
        if (this.raw) await this.#hold(Buffer.from('0\r\n\r\n'));
        await this.flush();
        this.exchange.complete = true;
        if (this.raw) this.response.socket?.end();
        else
            await new Promise((resolve) => {
                this.response.end(resolve);
            });
    }

    /** Closes the connection once what was written has left this process. */
    async drop() {
        await this.flush();
        this.exchange.dropped = true;
        if (this.script.reset) this.response.socket?.resetAndDestroy();
        else this.response.socket?.destroy();
        throw new Error('dropped by the script');
    }

    async #hold(bytes) {
        this.held = Buffer.concat([this.held, bytes]);
        for (
            let cut = nextCut(this.split, this.sent);
            cut - this.sent <= this.held.length;
            cut = nextCut(this.split, this.sent)
        ) {
            const size = cut - this.sent;
            const piece = this.held.subarray(0, size);
            this.held = this.held.subarray(size);
            await this.#put(piece);
        }
    }

    async #put(bytes) {
        this.exchange.signal.throwIfAborted();
        const limit = this.script.dropBytes ?? Infinity;
        const last = this.sent + bytes.length >= limit;
        const piece = last ? bytes.subarray(0, limit - this.sent) : bytes;
        await this.#write(piece);
        this.sent += piece.length;
        this.exchange.bytesSent = this.sent;
        if (last) {
            this.held = Buffer.alloc(0);
            await this.drop();
        }
        if (this.script.gap) await sleep(this.script.gap, undefined, { signal: this.exchange.signal });
        else await turn();
    }

    /** Resolves when the kernel took the bytes, so that a reader that does not read holds us up. */
    #write(bytes) {
        const sink = this.raw ? this.response.socket : this.response;
        this.exchange.blocked = true;
        return new Promise((resolve, reject) => {
            const gone = () => reject(this.exchange.signal.reason);
            this.exchange.signal.addEventListener('abort', gone, { once: true });
            sink.write(bytes, (error) => {
                this.exchange.signal.removeEventListener('abort', gone);
                this.exchange.blocked = false;
                if (error) reject(error);
                else resolve();
            });
        });
    }
}
