// SPDX-License-Identifier: MIT
//
// What tests of the chat share: the settings that connect a stand-in model, the form that every transcript
// must have, rows that no route makes, and a few waits.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rows } from './postgres.mjs';
import { chat, openSse } from './sse.mjs';

export const STREAM = '/api/genie/stream-chat';

/** Settings under which the stand-in answers everybody in that wire format. */
export const CONNECT = {
    ollama: (model) => ({ LLM_PROVIDER: 'ollama', OLLAMA_URL: model.url, LLM_LOCAL_PARALLEL: '64' }),
    openai: (model) => ({
        LLM_PROVIDER: 'openai',
        LLM_BASE_URL: `${model.url}/v1`,
        LLM_MODEL: 'stand-in',
        LLM_API_KEY: 'key-of-the-stand-in',
    }),
    anthropic: (model) => ({
        LLM_PROVIDER: 'anthropic',
        ANTHROPIC_BASE_URL: model.url,
        ANTHROPIC_API_KEY: 'key-of-the-stand-in',
        ANTHROPIC_MODEL: 'stand-in',
    }),
};

export const newSession = () => `s-${randomBytes(6).toString('hex')}`;

/** Runs SQL on the server's database beside it; rows as objects. */
export function sql(server, statement) {
    if (server.databaseUrl) return rows(server.databaseUrl, statement);
    const out = execFileSync(
        'sqlite3',
        ['-json', '-cmd', '.timeout 5000', join(server.dataDir, 'genie.db'), statement],
        { encoding: 'utf8' },
    );
    return out.trim() === '' ? [] : JSON.parse(out);
}

/** Holds a lock that lets nobody store a chat, until the function it returns is called. */
export async function lockStore(server) {
    const [program, args, begin] = server.databaseUrl
        ? ['psql', ['-X', '-q', '-A', '-t', server.databaseUrl], 'BEGIN; LOCK workspace_chats']
        : ['sqlite3', [join(server.dataDir, 'genie.db')], 'BEGIN IMMEDIATE'];
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const locked = once(child.stdout, 'data');
    child.stdin.write(`${begin}; SELECT 1;\n`);
    await locked;
    return async () => {
        const closed = once(child, 'close');
        child.stdin.end('ROLLBACK;\n');
        await closed;
    };
}

export const quoted = (text) => `'${String(text).replaceAll("'", "''")}'`;

export function addNode(server, user, title, content) {
    const id = randomUUID();
    sql(
        server,
        `INSERT INTO user_nodes (id, user_id, node_type, title, content, weight) VALUES
         (${quoted(id)}, ${quoted(user.id)}, 'content', ${quoted(title)}, ${quoted(content)}, 0.9)`,
    );
    return id;
}

export function addFlow(server, slug, steps, { name = slug, description = 'A flow of the tests' } = {}) {
    sql(
        server,
        `INSERT INTO action_flows (id, slug, name, description, allow_side_effects, steps) VALUES
         (${quoted(randomUUID())}, ${quoted(slug)}, ${quoted(name)}, ${quoted(description)}, TRUE,
          ${quoted(JSON.stringify(steps))})`,
    );
}

/** The exchanges of a session: what GET /api/genie/history gives. */
export async function history(server, token, sessionId, query = '') {
    const path = `/api/genie/history?limit=200${sessionId ? `&sessionId=${sessionId}` : ''}${query}`;
    const { status, json, text } = await server.request(path, { token });
    assert.equal(status, 200, text);
    return json.data;
}

/** Goes on reading a stream by GET, after an event or from its beginning. */
export function openResume(server, token, uuid, lastEventId, options = {}) {
    const headers = lastEventId === undefined ? {} : { 'Last-Event-ID': String(lastEventId) };
    return openSse(`${server.url}${STREAM}/${uuid}`, { token, headers, ...options });
}

export function stopChat(server, token, uuid) {
    return server.request(`${STREAM}/${uuid}`, { method: 'DELETE', token });
}

export const isText = (event) => event.json.type === 'textResponseChunk';

export function textOf(events) {
    return events
        .map((event) => event.json ?? event)
        .filter((event) => event.type === 'textResponseChunk' || event.type === 'textResponse')
        .map((event) => event.textResponse)
        .join('');
}

/** Stops all of them, whatever happens to one; what a before() that failed did not start is left out. */
export async function stopAll(...services) {
    const outcomes = await Promise.allSettled(services.map((service) => service?.stop()));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
}

/** Polls until look() gives something true; for what no event tells. */
export async function eventually(look, what = 'it', limitMs = 60_000) {
    const deadline = performance.now() + limitMs;
    for (let found = await look(); ; found = await look()) {
        if (found) return found;
        if (performance.now() > deadline) throw new Error(`${what}: not within ${limitMs} ms`);
        await sleep(20);
    }
}

const MOODS = ['neutral', 'active', 'thinking', 'focused', 'success', 'warning', 'error', 'idle'];
const STATUSES = ['running', 'success', 'error', 'miss'];
const isString = (v) => typeof v === 'string' && v !== '';
const isWhole = (v) => Number.isInteger(v) && v >= 0;
const optional = (check) => (v) => v === undefined || check(v);
const isSource = (s) =>
    ['id', 'title', 'kind'].every((key) => typeof s[key] === 'string') && typeof s.score === 'number';
const isMetrics = (m) =>
    ['prompt_tokens', 'completion_tokens', 'total_tokens'].every((key) => isWhole(m[key])) &&
    m.total_tokens === m.prompt_tokens + m.completion_tokens &&
    ['outputTps', 'duration'].every((key) => typeof m[key] === 'number' && m[key] >= 0) &&
    isString(m.model);

/** The documented fields of each type; a field that is not named here must not be there. */
const SHAPES = {
    stage_update: { missionLabel: isString, mood: (v) => MOODS.includes(v) },
    textResponseChunk: {
        textResponse: isString,
        close: (v) => v === false,
        error: (v) => v === false,
        sources: (v) => Array.isArray(v) && v.length === 0,
    },
    textResponse: {
        textResponse: isString,
        close: (v) => v === true,
        error: (v) => v === false,
        sources: Array.isArray,
        action: optional((v) => v === 'reset_chat'),
    },
    toolCall: {
        tool: isString,
        step: optional(isWhole),
        status: (v) => STATUSES.includes(v),
        ms: optional(isWhole),
        error: optional(isString),
    },
    actionResult: {
        slug: isString,
        success: (v) => typeof v === 'boolean',
        results: (v) => v !== null && typeof v === 'object' && !Array.isArray(v),
        error: optional(isString),
    },
    abort: {
        error: isString,
        close: (v) => v === true,
        textResponse: (v) => v === null,
        sources: (v) => Array.isArray(v) && v.length === 0,
    },
    finalizeResponseStream: {
        close: (v) => v === true,
        error: (v) => typeof v === 'boolean',
        chatId: optional((v) => Number.isInteger(v) && v > 0),
        sources: (v) => Array.isArray(v) && v.every(isSource),
        metrics: isMetrics,
        stopped: optional((v) => v === true),
    },
};

function assertEvent({ id, ...event }, index, uuid) {
    const shown = `event ${index + 1}: ${JSON.stringify(event).slice(0, 300)}`;
    const shape = SHAPES[event.type];
    assert.ok(shape, shown);
    assert.equal(id, `${uuid}:${index + 1}`, shown);
    assert.equal(event.uuid, uuid, shown);
    for (const [field, check] of Object.entries(shape))
        assert.ok(check(event[field]), `${field} of ${shown}`);
    for (const field of Object.keys(event))
        assert.ok(field === 'uuid' || field === 'type' || field in shape, `${field} of ${shown}`);
}

/**
 * What holds for every finished transcript from its first event on, whatever happened in it: forms, numbers,
 * a stage first, text before flows, at most one abort, the finalize last and nowhere else.
 */
export function assertTranscript(events) {
    const flat = events.map((event) => (event.json ? { id: event.id, ...event.json } : event));
    const types = flat.map((event) => event.type);
    const count = (type) => types.filter((t) => t === type).length;
    const list = JSON.stringify(types);
    assert.ok(flat.length > 1, list);
    flat.forEach((event, index) => assertEvent(event, index, flat[0].uuid));
    assert.equal(types[0], 'stage_update', list);
    assert.equal(types.at(-1), 'finalizeResponseStream', list);
    assert.equal(count('finalizeResponseStream'), 1, list);
    assert.equal(count('abort'), flat.at(-1).error ? 1 : 0, list);
    const lastText = types.lastIndexOf('textResponseChunk');
    const firstTool = types.indexOf('toolCall');
    assert.ok(firstTool < 0 || lastText < firstTool, `text after a flow: ${list}`);
    return flat;
}

/** A chat from beginning to end, its transcript checked. */
export async function talk(server, user, body, options) {
    const answer = await chat(
        server,
        user.token,
        typeof body === 'string' ? { message: body } : body,
        options,
    );
    assert.equal(answer.status, 200, JSON.stringify(answer.json));
    assert.ok(answer.complete, `the connection broke: ${answer.error}`);
    assertTranscript(answer.events);
    return answer;
}
