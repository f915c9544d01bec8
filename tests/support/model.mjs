// SPDX-License-Identifier: MIT
//
// A stand-in language model: one HTTP server that speaks Ollama, OpenAI and Anthropic as the real ones
// do (model/*.mjs), answers what the test tells it to (model/script.mjs says what a script may hold)
// and remembers every request.
//
//     const model = await startModel({ formats: ['ollama'] });
//     model.reply('Hello there');                        // from now on
//     model.once({ text: 'Hel lo', stall: 1 });          // for the next request only, in order
//     model.reply((request) => `you said ${request.prompt}`);
//     const request = await model.nextChat();            // waits for the next chat request
//     request.release();                                 // ends a stall
//     const { aborted, at } = await request.closedAt;    // how the exchange ended, and when
//
// As a program, for manual trials:  node tests/support/model.mjs --port 11434 --format ollama

import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { anthropic } from './model/anthropic.mjs';
import { citedAnswer } from './model/cited.mjs';
import { countTokens, embed } from './model/embed.mjs';
import { parseJson } from './model/json.mjs';
import { Listener, readBody } from './listener.mjs';
import { ollama } from './model/ollama.mjs';
import { openai } from './model/openai.mjs';
import { Player } from './model/player.mjs';
import { makeScript } from './model/script.mjs';

const FORMATS = { ollama, openai, anthropic };

export const DEFAULT_MODELS = [
    'dolphin3:8b-llama3.1-q4_K_M',
    'dolphin-mistral:7b',
    'qwen2.5:latest',
    'nomic-embed-text:latest',
];

/** One request and what became of it. */
class Exchange {
    #controller = new AbortController();
    #release;
    #close;

    constructor(request, response) {
        this.method = request.method;
        this.url = request.url;
        this.path = request.url.split('?')[0];
        this.headers = request.headers;
        this.rawHeaders = request.rawHeaders;
        this.connection = request.socket.remotePort;
        this.startedAt = performance.now();
        this.signal = this.#controller.signal;
        this.format = null;
        this.isChat = false;
        this.text = '';
        this.body = null;
        this.status = null;
        this.tokensSent = 0;
        this.bytesSent = 0;
        this.blocked = false; // a write is waiting for the client to read
        this.waiting = false; // stalled by the script
        this.complete = false; // all of the answer was handed to the kernel
        this.dropped = false; // the script closed the connection
        this.aborted = false; // the client left before the end
        this.released = new Promise((resolve) => {
            this.#release = resolve;
        });
        this.closedAt = new Promise((resolve) => {
            this.#close = resolve;
        });
        response.on('close', () => this.#closed());
    }

    /** Lets a stalled answer go on; before the stall is reached, it will not stall. */
    release() {
        this.#release();
    }

    async stalled() {
        this.waiting = true;
        await Promise.race([
            this.released,
            new Promise((resolve, reject) => {
                this.signal.addEventListener('abort', () => reject(this.signal.reason), { once: true });
            }),
        ]);
        this.waiting = false;
    }

    #closed() {
        this.aborted = !this.complete && !this.dropped;
        this.#controller.abort();
        this.#close({ at: performance.now(), aborted: this.aborted });
    }
}

export class StandInModel extends Listener {
    #default = citedAnswer;
    #queue = [];
    #waiters = new Set();
    #claimed = 0;

    constructor({ formats = Object.keys(FORMATS), models, apiKey, vector = embed, verbose = false } = {}) {
        super((request, response) => this.#serve(request, response));
        this.formats = [formats].flat().map((name) => {
            if (!FORMATS[name]) throw new Error(`there is no wire format '${name}'`);
            return FORMATS[name];
        });
        this.models = models ?? DEFAULT_MODELS;
        this.anyModel = models === undefined; // Ollama always knows its own models only
        this.apiKey = apiKey;
        this.vector = vector;
        this.verbose = verbose;
        this.requests = [];
        this.active = 0; // chat requests under way, and the most there were at once
        this.peak = 0;
    }

    /** The answer from now on: text, script, or (request) => text | script, which may be async. */
    reply(reply) {
        if (typeof reply !== 'function') makeScript(reply);
        this.#default = reply;
        return this;
    }

    /** Answers for the next requests, one each, before the default. */
    once(...replies) {
        this.#queue.push(...replies);
        return this;
    }

    /** Requests for text (not probes, lists or embeddings). */
    get chats() {
        return this.requests.filter((request) => request.isChat);
    }

    /** The oldest chat request that no call of nextChat has returned yet. */
    async nextChat(timeoutMs = 60_000) {
        const index = this.#claimed++;
        return await this.waitFor(() => this.chats[index], timeoutMs, `chat request ${index + 1}`);
    }

    /** Waits until `look()` returns something, looking after every change. */
    async waitFor(look, timeoutMs = 60_000, what = 'condition') {
        const deadline = performance.now() + timeoutMs;
        for (let found = look(); ; found = look()) {
            if (found) return found;
            if (performance.now() >= deadline)
                throw new Error(`stand-in model: no ${what} within ${timeoutMs} ms`);
            await this.#change(Math.min(25, deadline - performance.now()));
        }
    }

    /** Forgets requests and scripts; the default answer comes back. */
    reset() {
        for (const request of this.requests) request.release();
        this.requests = [];
        this.#queue = [];
        this.#claimed = 0;
        this.#default = citedAnswer;
        this.peak = this.active;
    }

    #change(ms) {
        return new Promise((resolve) => {
            const done = () => {
                clearTimeout(timer);
                this.#waiters.delete(done);
                resolve();
            };
            const timer = setTimeout(done, ms);
            this.#waiters.add(done);
        });
    }

    #changed() {
        for (const done of [...this.#waiters]) done();
    }

    async #serve(request, response) {
        const exchange = new Exchange(request, response);
        void exchange.closedAt.then(() => {
            this.active -= exchange.isChat ? 1 : 0;
            this.#changed();
        });
        try {
            await this.#answer(exchange, request, response);
        } catch (error) {
            // A client that left, or a drop that the script asked for, is no fault of ours. That it left may
            // be seen by a write first.
            const left = exchange.signal.aborted || ['EPIPE', 'ECONNRESET'].includes(error.code);
            if (!left && !exchange.dropped) throw error;
        }
        if (this.verbose)
            console.error(`${exchange.method} ${exchange.url} -> ${exchange.status ?? 'closed'}`);
    }

    async #answer(exchange, request, response) {
        exchange.text = await readBody(request);
        const parsed = parseJson(exchange.text === '' ? '{}' : exchange.text);
        exchange.body = parsed.value;
        const format = this.formats.find((f) => f.chatPath === exchange.path && request.method === 'POST');
        const route = this.#route(exchange);
        exchange.format = (format ?? route?.format)?.name ?? null;
        if (format) this.#begin(exchange);
        if (format && parsed.ok) Object.assign(exchange, this.#read(format, exchange.body));
        this.requests.push(exchange);
        this.#changed();
        if (!format && !route)
            return this.#send(exchange, response, { status: 404, body: '404 page not found' });
        if (!parsed.ok)
            return this.#send(exchange, response, {
                status: 400,
                body: (format ?? route.format).failure({ status: 400, message: 'invalid JSON' }),
            });
        const context = { model: this, body: exchange.body, headers: exchange.headers };
        if (!format) return this.#send(exchange, response, route.answer(context));
        const refusal = format.check(context);
        if (refusal) return this.#send(exchange, response, refusal);
        await this.#chat(format, exchange, response);
    }

    #begin(exchange) {
        exchange.isChat = true;
        this.active++;
        this.peak = Math.max(this.peak, this.active);
    }

    #route({ method, path, headers }) {
        const asked = method === 'HEAD' ? 'GET' : method;
        const found = this.formats
            .flatMap((format) => format.routes.map((route) => ({ ...route, format })))
            .filter((route) => route.method === asked && route.path === path)
            .filter((route) => !route.header || headers[route.header]);
        return found.find((route) => route.header) ?? found[0];
    }

    /** What tests ask of a request, in one shape for all formats; the body may be anything. */
    #read(format, body) {
        try {
            const { messages, stream, system } = format.read(body);
            const prompt = messages.filter((m) => m.role === 'user').at(-1)?.content ?? '';
            return { model: body.model, messages, stream, system, prompt };
        } catch {
            return { model: body?.model, messages: [], stream: false, system: '', prompt: '' };
        }
    }

    async #chat(format, exchange, response) {
        const reply = this.#queue.shift() ?? this.#default;
        const script = makeScript(typeof reply === 'function' ? await reply(exchange) : reply);
        const talk = {
            id: this.#id(format),
            created: Math.floor(Date.now() / 1000),
            began: performance.now(),
            model: exchange.body.model,
            body: exchange.body,
            stream: exchange.stream,
            json: script.json,
            finish: script.finish ?? 'stop',
            usage: {
                prompt: script.usage?.prompt ?? this.#promptTokens(exchange),
                completion: script.usage?.completion,
            },
            completion: 0,
        };
        exchange.talk = talk;
        await new Player(format, exchange, talk, response, script).play();
    }

    #id(format) {
        const random = randomBytes(12).toString('hex');
        return format === anthropic ? `msg_01${random}` : `chatcmpl-${random}`;
    }

    #promptTokens({ messages, system }) {
        return countTokens(system + messages.map((m) => m.content).join('\n'));
    }

    #send(exchange, response, { status, body }) {
        const text = typeof body === 'string' ? body : JSON.stringify(body);
        const type =
            typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8';
        exchange.status = status;
        exchange.complete = true;
        response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
        response.end(exchange.method === 'HEAD' ? undefined : text);
    }
}

export async function startModel(options = {}) {
    const model = new StandInModel(options);
    await model.start(options.port);
    return model;
}

async function main() {
    const { values } = parseArgs({
        options: {
            port: { type: 'string', default: '11434' },
            format: { type: 'string', multiple: true },
            delay: { type: 'string', default: '30' },
        },
    });
    const model = await startModel({ port: Number(values.port), formats: values.format, verbose: true });
    model.reply((request) => ({ text: citedAnswer(request), delay: Number(values.delay) }));
    console.error(`stand-in model (${model.formats.map((f) => f.name).join(', ')}) at ${model.url}`);
    for (const signal of ['SIGINT', 'SIGTERM'])
        process.once(signal, () => {
            void model.stop().then(() => process.exit(0));
        });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
