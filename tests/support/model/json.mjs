// SPDX-License-Identifier: MIT
//
// JSON the way different servers write it. Go's encoder (Ollama) escapes <, > and & and the two
// Unicode line separators; Python servers often escape everything that is not ASCII, so that an emoji
// becomes a surrogate pair of \u escapes. Both must mean the same to a reader.

const hex4 = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** `dialect` is 'plain', 'go' or 'ascii'. A lone surrogate is always written as a \u escape. */
export function toJson(value, dialect = 'plain') {
    const text = JSON.stringify(value);
    if (dialect === 'go') return text.replace(/[<>&\u2028\u2029]/g, hex4);
    if (dialect === 'ascii') return text.replace(/[\u007f-\uffff]/g, hex4);
    return text;
}

/** {ok, value}: ok only for an object, the one thing that these APIs take as a body. */
export function parseJson(text) {
    try {
        const value = JSON.parse(text);
        return { ok: typeof value === 'object' && value !== null && !Array.isArray(value), value };
    } catch {
        return { ok: false, value: null };
    }
}
