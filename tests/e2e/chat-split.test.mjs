// SPDX-License-Identifier: MIT
//
// A model's bytes may be cut anywhere: in a UTF-8 character, a surrogate pair, an escape, a line, a tag. The
// visible text must not depend on it, and no part of a tag may ever be seen.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { CONNECT, newSession, stopAll, talk } from '../support/talk.mjs';

const TAG = '[ACTION:no-such-flow:{"u":"https://x.example/[a]?b=\\"]\\"","n":[1,[2]]}]';
const SEEN = 'Ä🎉 [AC"\\\n世';
const AT_ONCE = 24;

/** The smallest body with SEEN and a TAG in it: raw bytes, escapes and surrogate pairs as escapes. */
const RECORDED = {
    ollama: (parts) =>
        [
            ...parts.map((part) => `{"message":{"role":"assistant","content":${part}},"done":false}\n`),
            '{"message":{"content":""},"done":true,"prompt_eval_count":3,"eval_count":4}\n',
        ].join(''),
    openai: (parts) =>
        [
            ...parts.map((part) => `data: {"choices":[{"index":0,"delta":{"content":${part}}}]}\n\n`),
            'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
        ].join(''),
    anthropic: (parts) =>
        [
            ...parts.map(
                (part) =>
                    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,' +
                    `"delta":{"type":"text_delta","text":${part}}}\n\n`,
            ),
            'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        ].join(''),
};

/** JSON strings: as they are, and with everything but ASCII escaped (so that pairs are cut in two). */
const escaped = (text) =>
    JSON.stringify(text).replace(
        /[\u007f-\uffff]/g,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );

const parts = [
    JSON.stringify('Ä🎉 [A'),
    JSON.stringify('C"\\\n' + TAG.slice(0, 20)),
    escaped(TAG.slice(20) + '世'),
];

async function inParallel(jobs, run) {
    const queue = [...jobs];
    const work = async () => {
        while (queue.length > 0) await run(queue.shift());
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** A small deterministic generator: a failure names the seed of its round. */
function random(seed) {
    let state = seed;
    return (n) => {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
        return (state >> 8) % n;
    };
}

const PLAIN = [
    'word ',
    'é',
    '世界',
    '🎉',
    '👩‍👩‍👧',
    '[',
    ']',
    '[AC',
    '[ACTION',
    '[ACTION:',
    '"',
    '\\',
    '\n',
    '[action:x:{}]',
    '[ACTION:x:{]',
    '{"a":1}',
    '\u0001',
    '[1] ',
];

/** [text, what of it is visible, number of tags] */
function randomText(pick) {
    let text = '';
    let visible = '';
    let tags = 0;
    for (let i = 1 + pick(12); i > 0; i--) {
        const piece = PLAIN[pick(PLAIN.length)];
        text += piece;
        visible += piece;
        if (pick(3) > 0 || /\[ACTION:[^\]]*$/.test(text)) continue;
        text += TAG;
        tags++;
    }
    return [text, visible, tags];
}

function randomScript(pick, text) {
    const split = [
        'frame',
        'whole',
        1 + pick(40),
        Array.from({ length: 8 }, () => 1 + pick(1500)).sort((a, b) => a - b),
    ];
    return {
        text,
        cut: ['word', 'char', 'unit', 1 + pick(5)][pick(4)],
        json: ['plain', 'go', 'ascii'][pick(3)],
        split: split[pick(4)],
        ...(pick(8) === 0 && { wire: 1 + pick(30) }),
    };
}

for (const format of ['ollama', 'openai', 'anthropic'])
    describe(`bytes of ${format}`, () => {
        let model, server, user;

        before(async () => {
            model = await startModel({ formats: [format] });
            server = await startGenie({ env: { ...CONNECT[format](model), LOG_LEVEL: 'error' } });
            user = await server.addUser();
        });
        beforeEach(() => model.reset());
        after(() => stopAll(server, model));

        test('a recorded answer cut at every offset', async () => {
            const body = Buffer.from(RECORDED[format](parts));
            const offsets = Array.from({ length: body.length - 1 }, (_, i) => i + 1);
            const ask = async (offset) => {
                const message = `cut at ${offset}`;
                const answer = await talk(server, user, { message, sessionId: newSession() });
                assert.equal(answer.answer, SEEN, message);
                assert.equal(answer.last.error, false, message);
                assert.equal(answer.events.filter((e) => e.type === 'actionResult').length, 1, message);
                assert.doesNotMatch(
                    answer.raw.toString().replace(/"type":"(toolCall|actionResult)".*/g, ''),
                    /example/,
                );
            };
            model.reply((request) => ({
                steps: [{ raw: body }],
                split: [Number(request.prompt.split(' ').at(-1))],
                gap: 1,
                done: false,
            }));
            await inParallel(offsets, ask);
            assert.equal(model.chats.length, offsets.length);
        });

        test('random texts, cut at random into tokens and bytes', async () => {
            const wanted = new Map();
            model.reply((request) => wanted.get(request.prompt));
            await inParallel(
                Array.from({ length: 50 }, (_, i) => i + 1),
                async (seed) => {
                    const pick = random(seed * 7919);
                    const [text, visible, tags] = randomText(pick);
                    const message = `round ${seed}`;
                    wanted.set(message, randomScript(pick, text));
                    const answer = await talk(server, user, { message, sessionId: newSession() });
                    const shown = `${message}: ${JSON.stringify(wanted.get(message))}`;
                    assert.equal(answer.last.error, false, shown);
                    assert.equal(answer.answer, visible, shown);
                    assert.equal(
                        answer.events.filter((e) => e.type === 'actionResult').length,
                        Math.min(tags, 8),
                        shown,
                    );
                },
            );
        });
    });
