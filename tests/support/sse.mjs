// SPDX-License-Identifier: MIT
//
// A strict reader of server-sent events over node:http. It keeps every raw byte, accepts the fields
// this server documents and nothing else, and misbehaves on request: it can leave after an event, stop
// reading, or read a byte at a time.

import { request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const FIELDS = new Set(['id', 'data']);

export class SseError extends Error {}

/** Bytes in, events out; throws on anything that is not the documented form. */
export class SseParser {
    constructor() {
        this.events = []; // {id, data, json, comments, at}
        this.comments = []; // every comment line, without the colon
        this.rest = Buffer.alloc(0);
        this.#begin();
    }

    push(bytes) {
        this.rest = this.rest.length ? Buffer.concat([this.rest, bytes]) : bytes;
        let from = 0;
        for (let end = this.rest.indexOf(10, from); end >= 0; end = this.rest.indexOf(10, from)) {
            this.#line(this.rest.subarray(from, end));
            from = end + 1;
        }
        this.rest = this.rest.subarray(from);
    }

    /** True where the last event was closed by its blank line. */
    get whole() {
        return this.rest.length === 0 && this.data === null && this.id === undefined;
    }

    #begin() {
        this.id = undefined;
        this.data = null;
    }

    #line(bytes) {
        const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
        if (text.includes('\r') || text.includes('\0'))
            throw new SseError(`a line holds CR or NUL: ${JSON.stringify(text)}`);
        if (text === '') return this.#dispatch();
        if (text.startsWith(':')) return void this.comments.push(text.slice(1));
        const [, field, value] = /^([^:]*): (.*)$/s.exec(text) ?? [];
        if (!FIELDS.has(field)) throw new SseError(`not a documented line: ${JSON.stringify(text)}`);
        if (field === 'data') this.#data(value);
        else this.#id(value);
    }

    #id(value) {
        if (this.id !== undefined || this.data === null) throw new SseError('id must come once, after data');
        this.id = value;
    }

    #data(value) {
        if (this.data !== null) throw new SseError('more than one data line in an event');
        this.data = value;
    }

    #dispatch() {
        if (this.data === null && this.id === undefined) return; // the blank line after a comment
        if (this.data === null) throw new SseError('an event without data');
        this.events.push({
            id: this.id,
            data: this.data,
            json: JSON.parse(this.data),
            at: performance.now(),
        });
        this.#begin();
    }
}

/** One open stream, or the refusal in its place (then `json` holds the body). */
export class SseStream {
    #reader;
    #outgoing;
    #change = () => {};
    #gate = null;
    #open = () => {};

    constructor(outgoing, incoming, options) {
        this.#outgoing = outgoing;
        this.incoming = incoming;
        this.options = options;
        this.status = incoming.statusCode;
        this.headers = incoming.headers;
        this.rawHeaders = incoming.rawHeaders;
        this.isStream = /^text\/event-stream\b/.test(this.headers['content-type'] ?? '');
        this.parser = new SseParser();
        this.parts = [];
        this.closed = false;
        this.complete = false; // the server ended the body properly
        this.error = null; // what the reader objected to, or how the connection broke
        this.taken = 0;
        if (options.paused) this.pause();
        this.#reader = this.#read();
    }

    get events() {
        return this.parser.events;
    }

    get comments() {
        return this.parser.comments;
    }

    get raw() {
        return Buffer.concat(this.parts);
    }

    get text() {
        return this.raw.toString('utf8');
    }

    get json() {
        return this.isStream ? undefined : JSON.parse(this.text);
    }

    /** Stops reading; what the kernel's buffers can't hold stays with the server. */
    pause() {
        this.#gate ??= new Promise((resolve) => {
            this.#open = resolve;
        });
    }

    resume() {
        this.#open();
        this.#gate = null;
    }

    /** Leaves: closes the connection at once. */
    cut() {
        this.#outgoing.destroy();
    }

    /** The next event, or null after the last. */
    async next(limitMs = 60_000) {
        const index = this.taken++;
        return await this.until((events) => events[index], limitMs);
    }

    /** Waits until look(events) gives something; null if the stream ended first. */
    async until(look, limitMs = 60_000) {
        const deadline = performance.now() + limitMs;
        for (let found = look(this.events); ; found = look(this.events)) {
            if (found) return found;
            if (this.error instanceof SseError) throw this.error;
            if (this.closed) return null;
            if (performance.now() >= deadline)
                throw new Error(
                    `stream: nothing of that kind within ${limitMs} ms; events so far: ` +
                        JSON.stringify(this.events.map((e) => e.json.type)),
                );
            await this.#changed(deadline - performance.now());
        }
    }

    /** Waits for the end of the stream; throws on a form error, not on a broken connection. */
    async ended(limitMs = 60_000) {
        await this.until(() => this.closed, limitMs);
        await this.#reader;
        if (this.error instanceof SseError) throw this.error;
        return this;
    }

    #changed(ms) {
        return new Promise((resolve) => {
            const timer = setTimeout(resolve, Math.min(ms, 100));
            this.#change = () => {
                clearTimeout(timer);
                resolve();
            };
        });
    }

    async #read() {
        try {
            await this.#gate;
            for await (const part of this.incoming) await this.#take(part);
            this.complete = true;
            if (this.isStream && !this.parser.whole) throw new SseError('the stream ends inside an event');
        } catch (error) {
            this.error = error;
        } finally {
            this.closed = true;
            this.#change();
        }
    }

    async #take(part) {
        this.parts.push(part);
        if (this.isStream) this.#parse(part);
        this.#change();
        const { cutAfter, slowly } = this.options;
        if (cutAfter !== undefined && this.events.length >= cutAfter) this.cut();
        if (slowly) await sleep(slowly);
        await this.#gate;
    }

    #parse(part) {
        try {
            this.parser.push(part);
        } catch (cause) {
            throw new SseError(`${cause.message}; after ${this.events.length} events`, { cause });
        }
    }
}

/**
 * Opens a stream. Options: method, headers, body, token, and
 *   cutAfter   leave after so many events
 *   paused     don't read until resume()
 *   slowly     ms of rest after each piece read; pieces are at most 64 KiB, or `highWaterMark` bytes
 */
export function openSse(
    url,
    { method = 'GET', headers = {}, body, token, limitMs = 30_000, ...options } = {},
) {
    const sent = { Accept: 'text/event-stream', ...headers };
    if (token !== undefined) sent.Authorization = `Bearer ${token}`;
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    if (payload !== undefined) {
        sent['Content-Type'] ??= 'application/json';
        sent['Content-Length'] = Buffer.byteLength(payload);
    }
    return new Promise((resolve, reject) => {
        const outgoing = httpRequest(url, {
            method,
            headers: sent,
            agent: false,
            highWaterMark: options.highWaterMark,
        });
        const timer = setTimeout(
            () => outgoing.destroy(new Error(`${method} ${url}: no status line within ${limitMs} ms`)),
            limitMs,
        );
        outgoing.on('error', reject);
        outgoing.on('response', (incoming) => {
            clearTimeout(timer);
            resolve(new SseStream(outgoing, incoming, options));
        });
        outgoing.on('close', () => clearTimeout(timer));
        outgoing.end(payload);
    });
}

/** Opens the chat stream of `server` (genie.mjs) without waiting for its end. */
export function openChat(server, token, body, options = {}) {
    return openSse(`${server.url}/api/genie/stream-chat`, { method: 'POST', token, body, ...options });
}

/** One chat from beginning to end: {status, headers, events, comments, raw, json, answer, last}. */
export async function chat(server, token, body, options = {}) {
    const stream = await openChat(server, token, body, options);
    await stream.ended(options.endMs ?? 60_000);
    const events = stream.events.map((event) => ({ id: event.id, ...event.json }));
    const answer = events
        .filter((event) => event.type === 'textResponseChunk' || event.type === 'textResponse')
        .map((event) => event.textResponse)
        .join('');
    return {
        status: stream.status,
        headers: stream.headers,
        rawHeaders: stream.rawHeaders,
        events,
        comments: stream.comments,
        raw: stream.raw,
        json: stream.json,
        complete: stream.complete,
        error: stream.error,
        answer,
        last: events.at(-1),
    };
}
