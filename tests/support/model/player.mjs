// SPDX-License-Identifier: MIT
//
// Plays one script in one wire format. A step is looked up by its only key in STEPS; what a token, an
// error or the end looks like is the format's business.

import { setTimeout as sleep } from 'node:timers/promises';
import { Writer } from './writer.mjs';

export class Player {
    constructor(format, exchange, talk, response, script) {
        Object.assign(this, { format, exchange, talk, response, script });
        this.out = new Writer(exchange, response, script);
        this.opened = false;
        this.ended = false;
    }

    async play() {
        const { script, talk } = this;
        if (script.headDelay) await this.pause(script.headDelay);
        if (script.stall === 'head') await this.exchange.stalled();
        if (script.status) return await this.refuse(script.status, script.body, script.headers);
        if (!talk.stream) return await this.whole();
        for (const step of script.iterate()) {
            await this.step(step);
            if (this.ended) return;
        }
        await this.open();
        if (script.done !== false) await this.frames(this.format.close(talk));
        await this.out.end();
    }

    async step(step) {
        const [kind] = Object.keys(step);
        if (!STEPS[kind]) throw new Error(`script: there is no step '${kind}'`);
        await STEPS[kind](this, step[kind]);
    }

    async token(make, text) {
        if (this.script.delay) await this.pause(this.script.delay);
        await this.open();
        this.talk.completion++;
        await this.frames(make.call(this.format, this.talk, text));
        this.exchange.tokensSent = this.talk.completion;
    }

    async open() {
        if (this.opened) return;
        this.opened = true;
        await this.out.head(200, {
            'Content-Type': this.format.contentType,
            ...this.format.headers(this.talk),
            ...this.script.headers,
        });
        await this.frames(this.format.open(this.talk));
    }

    async frames(frames) {
        for (const frame of frames) await this.out.body(frame);
    }

    async pause(ms) {
        if (this.opened) await this.out.flush();
        await sleep(ms, undefined, { signal: this.exchange.signal });
    }

    /** A whole answer as one JSON body; the stalls, drops and errors of the script hold here too. */
    async whole() {
        const { script, talk } = this;
        for (const step of script.iterate()) {
            if (step.error)
                return await this.refuse(step.error.status ?? 500, this.format.failure(step.error));
            if (step.stall) await this.exchange.stalled();
            if (step.drop) await this.out.drop();
            if (step.text || step.thinking) talk.completion++;
            if (script.delay || step.sleep) await this.pause(step.sleep ?? script.delay);
        }
        this.exchange.tokensSent = talk.completion;
        const full = Buffer.from(this.format.whole(talk, script.wholeText, script.wholeThinking));
        const body = script.malformed ? full.subarray(0, full.length / 2) : full;
        await this.out.head(
            200,
            { 'Content-Type': 'application/json', ...this.format.headers(talk), ...script.headers },
            body.length,
        );
        await this.out.body(body);
        await this.out.end();
    }

    async refuse(status, body, headers) {
        this.ended = true;
        const content = body ?? this.format.failure({ status });
        const text = typeof content === 'string' ? content : JSON.stringify(content);
        const type = typeof content === 'string' ? 'text/plain; charset=utf-8' : 'application/json';
        await this.out.head(status, { 'Content-Type': type, ...headers }, Buffer.byteLength(text));
        await this.out.body(text);
        await this.out.end();
    }
}

const STEPS = {
    text: (player, text) => player.token(player.format.token, text),
    thinking: (player, text) => player.token(player.format.thought, text),
    sleep: (player, ms) => player.pause(ms),
    raw: async (player, bytes) => {
        await player.open();
        await player.out.body(bytes);
    },
    stall: async (player) => {
        // A server that is loading its model has sent nothing yet, not even the status line.
        if (!player.format.lazyHead) await player.open();
        if (player.opened) await player.out.flush();
        await player.exchange.stalled();
    },
    malformed: async (player, line) => {
        await player.open();
        await player.out.body(line === true ? player.format.malformed(player.talk) : line);
    },
    error: async (player, error) => {
        // Before the first byte the real servers still can, and do, answer with a status.
        if (!player.opened && player.format.lazyHead)
            return await player.refuse(error.status ?? 500, player.format.failure(error));
        player.ended = true;
        await player.open();
        await player.frames(player.format.error(player.talk, error));
        await player.out.end();
    },
    drop: async (player) => {
        await player.open();
        await player.out.drop();
    },
};
