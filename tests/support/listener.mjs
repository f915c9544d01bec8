// SPDX-License-Identifier: MIT
//
// An HTTP server on a loopback port that can be stopped at once, whatever its connections are doing,
// and that remembers the errors of its own handler: stop() throws the first, so that none is lost.

import { once } from 'node:events';
import { createServer } from 'node:http';

export class Listener {
    #handler;
    #server;
    #sockets = new Set();
    #faults = [];
    connections = 0; // that were ever opened

    /** `handler(request, response)` may be async. */
    constructor(handler) {
        this.#handler = handler;
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    async start(port = 0) {
        this.#server = createServer((request, response) => void this.#serve(request, response));
        this.#server.on('connection', (socket) => {
            this.#sockets.add(socket);
            this.connections++;
            socket.on('close', () => this.#sockets.delete(socket));
            socket.on('error', () => socket.destroy());
        });
        this.#server.listen(port, '127.0.0.1');
        await once(this.#server, 'listening');
        this.port = this.#server.address().port;
    }

    /** Stops listening and cuts every connection; start(port) may follow. */
    async stop() {
        const closed = once(this.#server, 'close');
        this.#server.close();
        for (const socket of this.#sockets) socket.destroy();
        await closed;
        const [fault] = this.#faults.splice(0);
        if (fault) throw fault;
    }

    async #serve(request, response) {
        try {
            await this.#handler(request, response);
        } catch (error) {
            if (!response.destroyed) this.#faults.push(error);
            response.destroy();
        }
    }
}

/** The whole body of a request as text. */
export async function readBody(request, limit = 64 << 20) {
    const parts = [];
    let size = 0;
    for await (const part of request) {
        size += part.length;
        if (size > limit) throw new Error(`a request body of more than ${limit} bytes`);
        parts.push(part);
    }
    return Buffer.concat(parts).toString('utf8');
}
