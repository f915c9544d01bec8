// SPDX-License-Identifier: MIT
//
// Plain HTTP requests over node:http, one connection each, with nothing added that the test did not
// ask for. A body that is not a string or bytes is sent as JSON with its content type.

import { request as httpRequest } from 'node:http';

const LIMIT_MS = 60_000;

function encode(body, headers) {
    if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body))
        return { payload: body, headers };
    return { payload: JSON.stringify(body), headers: { 'Content-Type': 'application/json', ...headers } };
}

function parse(text) {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

/** {status, headers, rawHeaders, bytes, text, json}; json is undefined if the body isn't JSON. */
export function request(url, { method = 'GET', token, headers = {}, body, limitMs = LIMIT_MS } = {}) {
    const { payload, headers: sent } = encode(body, headers);
    if (token !== undefined) sent.Authorization = `Bearer ${token}`;
    return new Promise((resolve, reject) => {
        const outgoing = httpRequest(url, { method, headers: sent, agent: false }, (incoming) => {
            const parts = [];
            incoming.on('data', (part) => parts.push(part));
            incoming.on('error', reject);
            incoming.on('end', () => {
                const bytes = Buffer.concat(parts);
                const text = bytes.toString('utf8');
                resolve({
                    status: incoming.statusCode,
                    headers: incoming.headers,
                    rawHeaders: incoming.rawHeaders,
                    bytes,
                    text,
                    json: parse(text),
                });
            });
        });
        outgoing.setTimeout(limitMs, () =>
            outgoing.destroy(new Error(`${method} ${url}: no answer within ${limitMs} ms`)),
        );
        outgoing.on('error', reject);
        if (payload !== undefined) outgoing.setHeader('Content-Length', Buffer.byteLength(payload));
        outgoing.end(payload);
    });
}
