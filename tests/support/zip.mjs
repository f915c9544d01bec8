// SPDX-License-Identifier: MIT
//
// ZIP archives, good ones and every wrong kind: each header's field can be said otherwise than it is.

import { deflateRawSync } from 'node:zlib';
import { form } from './form.mjs';
import { request } from './http.mjs';

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n;
});

export function crc32(bytes) {
    let crc = 0xffffffff;
    for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
    return (crc ^ 0xffffffff) >>> 0;
}

function fields(...pairs) {
    const parts = pairs.map(([value, size]) => {
        const part = Buffer.alloc(size);
        part.writeUIntLE(value, 0, size);
        return part;
    });
    return Buffer.concat(parts);
}

/** An extra field that gives the entry another name (Info-ZIP Unicode Path). */
export function unicodePath(name, other) {
    const path = Buffer.from(other);
    return Buffer.concat([
        fields([0x7075, 2], [5 + path.length, 2], [1, 1], [crc32(Buffer.from(name)), 4]),
        path,
    ]);
}

/**
 * entries: {name, data, deflate, flags, host, mode, unpacked, extra, localName}.
 * claimed: how many the end record says there are.
 */
export function makeZip(entries, { claimed = entries.length, comment = '' } = {}) {
    const locals = [];
    const centrals = [];
    let at = 0;
    for (const entry of entries) {
        const data = Buffer.from(entry.data ?? 'some text');
        const packed = entry.deflate ? deflateRawSync(data) : data;
        const name = Buffer.from(entry.name);
        const localName = Buffer.from(entry.localName ?? entry.name);
        const extra = entry.extra ?? Buffer.alloc(0);
        const common = [
            [entry.flags ?? 0, 2],
            [entry.deflate ? 8 : 0, 2],
            [0, 2],
            [33, 2],
            [entry.crc ?? crc32(data), 4],
            [packed.length, 4],
            [entry.unpacked ?? data.length, 4],
            [name.length, 2],
            [extra.length, 2],
        ];
        const local = [fields([0x04034b50, 4], [20, 2], ...common), localName, extra, packed];
        centrals.push(
            fields(
                [0x02014b50, 4],
                [20, 1],
                [entry.host ?? 3, 1],
                [20, 2],
                ...common,
                [0, 2],
                [0, 2],
                [0, 2],
                [(entry.mode ?? 0o100644) * 65536, 4],
                [at, 4],
            ),
            name,
            extra,
        );
        locals.push(...local);
        at += local.reduce((sum, part) => sum + part.length, 0);
    }
    const central = Buffer.concat(centrals);
    const end = fields(
        [0x06054b50, 4],
        [0, 2],
        [0, 2],
        [claimed, 2],
        [claimed, 2],
        [central.length, 4],
        [at, 4],
        [comment.length, 2],
    );
    return Buffer.concat([...locals, central, end, Buffer.from(comment)]);
}

/** What creators get from a platform. */
export const exportZip = () =>
    makeZip([
        { name: 'posts/2026.json', data: JSON.stringify([{ text: 'hello', likes: 3 }]), deflate: true },
        { name: 'fans.csv', data: 'name,spend\nAnna,12\n'.repeat(20), deflate: true },
        { name: 'Über mich.txt', data: 'hello', flags: 0x800 },
        { name: 'media/', data: '', mode: 0o040755 },
    ]);

const UPLOAD = '/api/onboarding/zip-upload';

function archive(bytes, { field = 'file', filename = 'export.zip', headers = {} } = {}) {
    const sent = form([], bytes, { part: field, name: filename, type: 'application/zip' });
    return { ...sent, headers: { ...sent.headers, ...headers } };
}

/** Uploads an export; the answer is held against the OpenAPI document. */
export const upload = (server, token, bytes, options) =>
    server.request(UPLOAD, { method: 'POST', token, ...archive(bytes, options) });

/** The same for a server that may die meanwhile: null where nothing was answered. */
export const tryUpload = (server, token, bytes) =>
    request(server.url + UPLOAD, { method: 'POST', token, ...archive(bytes) }).catch(() => null);
