// SPDX-License-Identifier: MIT
//
// A stand-in for Stagehand's HTTP server (API v3): the same paths, shapes and refusals, no browser.
// A session must be started with a model name and a way to a browser, as there; a route that the
// service does not have (screenshot) is the 404 of its framework.
//
//     const stagehand = await startStagehand();
//     stagehand.on('extract', { result: { title: 'Home' } });
//     stagehand.on('act', { status: 500, message: 'act failed' });
//     stagehand.on('navigate', { stall: true });         // until request.release() or the client leaves
//
// What `on` takes: {result}, {status, message}, {body} (sent as it is), {delay: ms}, {stall: true},
// {drop: true} (closes the connection), {malformed: true}, {huge: bytes}, or (request) => one of these.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Listener, readBody } from './listener.mjs';

const OPERATIONS = new Set(['navigate', 'act', 'extract', 'observe']);

const failed = (status, message) => ({ status, body: { success: false, message } });
const worked = (data) => ({ status: 200, body: { success: true, data } });
const framework = (status, error) => ({ status, body: { error, statusCode: status } });

function notFound({ method, url }) {
    return {
        status: 404,
        body: { message: `Route ${method}:${url} not found`, error: 'Not Found', statusCode: 404 },
    };
}

function issue(path, message) {
    return { status: 400, body: { error: [{ path, message }] } };
}

const needsText = (name) => (body) =>
    typeof body[name] === 'string' && body[name] !== ''
        ? null
        : issue(name, 'Invalid input: expected string, received undefined');

const CHECKS = {
    navigate: needsText('url'),
    act: (body) => (body.input?.selector && body.input?.description ? null : needsText('input')(body)),
    extract: (body) =>
        body.schema === undefined || typeof body.schema === 'object'
            ? null
            : issue('schema', 'Invalid input: expected record'),
    observe: () => null,
};

/** A value of the shape that a JSON schema asks for. */
function sample(schema, depth = 0) {
    if (!schema || depth > 8) return null;
    if (schema.enum) return schema.enum[0];
    const make = {
        object: () =>
            Object.fromEntries(
                Object.entries(schema.properties ?? {}).map(([name, inner]) => [
                    name,
                    sample(inner, depth + 1),
                ]),
            ),
        array: () => [sample(schema.items, depth + 1)],
        number: () => 1,
        integer: () => 1,
        boolean: () => true,
        string: () => (schema.format === 'uri' ? 'https://example.com/' : 'Example'),
    };
    return make[schema.type]?.() ?? null;
}

const LINK = {
    selector: 'xpath=/html[1]/body[1]/div[1]/a[1]',
    description: 'link: More information',
    method: 'click',
    arguments: [],
};

const RESULTS = {
    navigate: () => null,
    act: ({ input }) => ({
        success: true,
        message: 'Action [click] performed successfully',
        actionDescription: typeof input === 'string' ? input : input.description,
        actions: [typeof input === 'string' ? LINK : input],
    }),
    extract({ instruction, schema }) {
        if (schema) return sample(schema);
        return instruction
            ? { extraction: 'Example Domain' }
            : { pageText: 'Example Domain\nMore information' };
    },
    observe: () => [LINK],
};

class Call {
    #release;

    constructor(request, response) {
        this.method = request.method;
        this.url = request.url;
        this.headers = request.headers;
        this.body = null;
        this.released = new Promise((resolve) => {
            this.#release = resolve;
        });
        this.aborted = false;
        this.closedAt = new Promise((resolve) => {
            response.on('close', () => {
                this.aborted = !response.writableFinished;
                resolve({ at: performance.now(), aborted: this.aborted });
            });
        });
    }

    release() {
        this.#release();
    }
}

export class StandInStagehand extends Listener {
    #behaviour = new Map();

    constructor({ apiKey } = {}) {
        super((request, response) => this.#serve(request, response));
        this.apiKey = apiKey;
        this.requests = [];
        this.sessions = new Map(); // id -> {id, modelName, browser, url, ended, calls}
    }

    /** How the service behaves for 'start', 'navigate', 'act', 'extract', 'observe' or 'end' from now on. */
    on(operation, behaviour) {
        this.#behaviour.set(operation, behaviour);
        return this;
    }

    reset() {
        this.#behaviour.clear();
        this.requests = [];
    }

    get openSessions() {
        return [...this.sessions.values()].filter((session) => !session.ended);
    }

    async #serve(request, response) {
        const call = new Call(request, response);
        call.text = await readBody(request);
        this.requests.push(call);
        await this.#answer(call, response);
    }

    async #answer(call, response) {
        const [, id, operation] =
            /^\/v1\/sessions\/(?:([^/]+)\/)?([a-zA-Z]+)$/.exec(call.url.split('?')[0]) ?? [];
        call.operation = operation;
        call.sessionId = id;
        const refusal = this.#readBody(call);
        if (refusal) return this.#send(response, refusal);
        const chosen = this.#behaviour.get(operation);
        const behaviour = typeof chosen === 'function' ? await chosen(call) : (chosen ?? {});
        if (behaviour.delay) await sleep(behaviour.delay);
        if (behaviour.stall) await Promise.race([call.released, call.closedAt]);
        if (behaviour.drop) return void response.destroy();
        const answer = behaviour.status
            ? failed(behaviour.status, behaviour.message ?? `${operation} failed`)
            : this.#route(call, behaviour);
        if (behaviour.body !== undefined) answer.body = behaviour.body;
        if (this.#streams(call) && answer.status === 200) return this.#stream(response, answer.body.data);
        this.#send(response, answer, behaviour);
    }

    #readBody(call) {
        if (/^application\/json/.test(call.headers['content-type'] ?? '') && call.text === '')
            return framework(400, "Body cannot be empty when content-type is set to 'application/json'");
        if (call.text === '') call.body = {};
        else
            try {
                call.body = JSON.parse(call.text);
            } catch (error) {
                return framework(400, error.message);
            }
        if (call.text !== '' && !/^application\/json/.test(call.headers['content-type'] ?? ''))
            return framework(415, `Unsupported Media Type: ${call.headers['content-type']}`);
        return null;
    }

    #route(call, behaviour) {
        if (call.method === 'GET' && call.url === '/healthz') return { status: 200, body: { status: 'ok' } };
        if (call.method !== 'POST' || !call.operation) return notFound(call);
        if (this.apiKey && call.headers['x-stagehand-api-key'] !== this.apiKey)
            return failed(401, 'Unauthorized');
        if (call.operation === 'start' && !call.sessionId) return this.#start(call);
        if (!call.sessionId) return notFound(call);
        if (call.operation === 'end') return this.#end(call);
        if (!OPERATIONS.has(call.operation)) return notFound(call);
        return this.#operate(call, behaviour);
    }

    #start({ body, headers }) {
        if (!body.modelName) return failed(400, 'Missing required model name');
        const browser = body.browser ?? { type: 'browserbase' };
        if (browser.type === 'local' && !browser.cdpUrl && !browser.launchOptions)
            return issue(
                'browser',
                "When browser.type is 'local', provide either browser.cdpUrl or " + 'browser.launchOptions.',
            );
        if (browser.type !== 'local' && !headers['x-bb-api-key'])
            return failed(400, 'Missing required headers for browserbase sessions');
        const id = body.browserbaseSessionID ?? randomUUID();
        this.sessions.set(id, { id, modelName: body.modelName, browser, url: null, ended: false, calls: [] });
        return worked({
            sessionId: id,
            available: true,
            cdpUrl: browser.cdpUrl ?? `ws://127.0.0.1:9222/devtools/browser/${id}`,
        });
    }

    #end({ sessionId }) {
        const session = this.sessions.get(sessionId);
        if (session) session.ended = true;
        return { status: 200, body: { success: true } };
    }

    #operate({ sessionId, operation, body }, behaviour) {
        const session = this.sessions.get(sessionId);
        if (!session || session.ended) return { status: 404, body: { message: 'Session not found' } };
        const refusal = CHECKS[operation](body);
        if (refusal) return refusal;
        session.calls.push({ operation, body });
        if (operation === 'navigate') session.url = body.url;
        const result = 'result' in behaviour ? behaviour.result : RESULTS[operation](body);
        return worked({ result, actionId: randomUUID() });
    }

    #streams({ body, headers, operation }) {
        if (!OPERATIONS.has(operation)) return false;
        return (
            String(body.streamResponse ?? headers['x-stream-response'] ?? 'false').toLowerCase() === 'true'
        );
    }

    #stream(response, { result, actionId }) {
        response.writeHead(200, {
            'Content-Type': 'text/event-stream',
            'Cache-Control': 'no-cache, no-transform',
        });
        const send = (event, type, data) =>
            response.write(`event: ${event}\ndata: ${JSON.stringify({ data, type, id: randomUUID() })}\n\n`);
        send('starting', 'system', { status: 'starting' });
        send('connected', 'system', { status: 'connected' });
        send('finished', 'system', { status: 'finished', result, actionId });
        response.end();
    }

    #send(response, { status, body }, { malformed, huge } = {}) {
        let text = typeof body === 'string' ? body : JSON.stringify(body);
        if (huge) text = JSON.stringify({ success: true, data: { result: 'x'.repeat(huge) } });
        if (malformed) text = text.slice(0, text.length - 3);
        response.writeHead(status, {
            'Content-Type': 'application/json; charset=utf-8',
            'Content-Length': Buffer.byteLength(text),
        });
        response.end(text);
    }
}

export async function startStagehand(options = {}) {
    const stagehand = new StandInStagehand(options);
    await stagehand.start(options.port);
    return stagehand;
}
