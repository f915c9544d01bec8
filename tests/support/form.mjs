// SPDX-License-Identifier: MIT
//
// Forms with a file, as bytes that a test has in its hand; small files of known types; and what lies in the
// server's store of files.

import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { exchange } from './raw.mjs';

/** {body, headers} of a form: fields as [[name, value], …], then the file, whose name NULL leaves out. */
export function form(fields, file, { part = 'file', name = 'picture.png', type = 'image/png' } = {}) {
    const boundary = `form-${randomUUID()}`;
    const parts = fields.map(([key, value]) =>
        Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${key}"\r\n\r\n${value}\r\n`),
    );
    if (file !== undefined)
        parts.push(
            Buffer.from(
                `--${boundary}\r\nContent-Disposition: form-data; name="${part}"; filename="${name}"\r\n` +
                    `Content-Type: ${type}\r\n\r\n`,
            ),
            Buffer.from(file),
            Buffer.from('\r\n'),
        );
    return {
        body: Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]),
        headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}` },
    };
}

/** The beginning of a PNG of that size, which is all that anybody here looks at. */
export function png(width = 3, height = 2, more = 0) {
    const head = Buffer.alloc(33 + more);
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1').copy(head);
    head.writeUInt32BE(13, 8);
    head.write('IHDR', 12, 'latin1');
    head.writeUInt32BE(width, 16);
    head.writeUInt32BE(height, 20);
    head[24] = 8;
    return head;
}

export function gif(width = 5, height = 4) {
    const head = Buffer.alloc(13);
    head.write('GIF89a', 'latin1');
    head.writeUInt16LE(width, 6);
    head.writeUInt16LE(height, 8);
    return head;
}

/** Uploads a file as somebody. */
export function upload(server, person, file, { fields = [], headers = {}, query = '', ...about } = {}) {
    const { body, headers: typed } = form(fields, file, about);
    return server.request(`/api/directus/files${query}`, {
        method: 'POST',
        token: person.token,
        headers: { ...typed, ...headers },
        body,
    });
}

/** The names (ids) of all that lies in the store of files. */
export function storedFiles(server) {
    const root = join(server.dataDir, 'files');
    if (!existsSync(root)) return [];
    return readdirSync(root)
        .flatMap((name) => readdirSync(join(root, name)))
        .sort();
}

export function pathOf(server, id) {
    return join(server.dataDir, 'files', id.slice(0, 2), id);
}

/**
 * What a form is told whose length passes the limit, as {status, json}: its headers alone are sent, since a server
 * that refuses them closes the connection at once.
 */
export async function announce(server, method, path, token, length) {
    const { answers } = await exchange(
        server.port,
        `${method} ${path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${token}\r\nExpect: 100-continue\r\n` +
            `Content-Type: multipart/form-data; boundary=x\r\nContent-Length: ${length}\r\n\r\n`,
    );
    return { status: answers[0].status, json: JSON.parse(answers[0].body) };
}
