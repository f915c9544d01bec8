// SPDX-License-Identifier: MIT
//
// Deterministic embeddings: each word is hashed to a few signed dimensions, the sum is scaled to
// length one. Texts that share words come out close, others near orthogonal, which is all that a test
// of dense retrieval needs.

import { createHash } from 'node:crypto';

export const DIMENSIONS = 64;

export function embed(text, dimensions = DIMENSIONS) {
    const vector = new Float64Array(dimensions);
    for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
        const digest = createHash('sha256').update(word).digest();
        for (let i = 0; i < 4; i++)
            vector[digest.readUInt16LE(i * 4) % dimensions] += digest[i * 4 + 2] & 1 ? 1 : -1;
    }
    const length = Math.hypot(...vector) || 1;
    return Array.from(vector, (x) => x / length);
}

export function countTokens(text) {
    return Math.max(1, Math.ceil(text.length / 4));
}
