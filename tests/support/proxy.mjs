// SPDX-License-Identifier: MIT
//
// A TCP proxy that loses connections on demand, between a client that can't be told to and a server.
//
//     const proxy = await startProxy(server.port);
//     proxy.limits.push(700);      // the next connection breaks after 700 bytes of the answer
//     proxy.cut();                 // all connections break now

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Proxy {
    #server;
    #pairs = new Set();

    constructor(port) {
        this.target = port;
        this.limits = [];
        this.connections = 0;
        this.answered = ''; // all that the server sent, as Latin 1
    }

    get url() {
        return `http://127.0.0.1:${this.#server.address().port}`;
    }

    async start() {
        this.#server = createServer((socket) => this.#join(socket));
        this.#server.listen(0, '127.0.0.1');
        await once(this.#server, 'listening');
        return this;
    }

    /** Breaks every connection with a reset, as a lost network would. */
    cut() {
        for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
    }

    async stop() {
        const closed = once(this.#server, 'close');
        this.#server.close();
        this.cut();
        await closed;
    }

    #join(client) {
        const upstream = connect(this.target, '127.0.0.1');
        const pair = [client, upstream];
        let left = this.limits.shift() ?? Infinity;
        this.connections++;
        this.#pairs.add(pair);
        for (const socket of pair) {
            socket.on('error', () => {});
            socket.on('close', () => {
                this.#pairs.delete(pair);
                for (const other of pair) other.destroy();
            });
        }
        client.pipe(upstream);
        upstream.on('data', (part) => {
            this.answered += part.toString('latin1');
            client.write(part.subarray(0, left));
            left -= part.length;
            if (left <= 0) client.end(() => client.resetAndDestroy());
        });
        upstream.on('end', () => client.end());
    }
}

export async function startProxy(port) {
    return await new Proxy(port).start();
}
