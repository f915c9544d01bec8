// SPDX-License-Identifier: MIT
//
// Ollama's API: newline-delimited JSON, one object a token, the last with `done`, its reason and the
// counters (durations in nanoseconds). Nothing is sent, not even the status line, before the first
// token; an error before it is a status with {"error"}, after it a line {"error"}.

import { countTokens } from './embed.mjs';
import { toJson } from './json.mjs';

const VERSION = '0.12.3';

function line(talk, message, rest = {}) {
    return (
        toJson(
            { model: talk.model, created_at: new Date().toISOString(), message, ...rest },
            talk.json ?? 'go',
        ) + '\n'
    );
}

function counters(talk) {
    const spent = Math.max(1, Math.round((performance.now() - talk.began) * 1e6));
    return {
        total_duration: spent,
        load_duration: 1334875,
        prompt_eval_count: talk.usage.prompt,
        prompt_eval_duration: Math.ceil(spent / 10),
        eval_count: talk.usage.completion ?? talk.completion,
        eval_duration: Math.ceil(spent / 2),
    };
}

const last = (talk) => ({ done: true, done_reason: talk.finish, ...counters(talk) });

function tag(name, index) {
    return {
        name,
        model: name,
        modified_at: '2026-01-15T10:08:06.639712648Z',
        size: 4683075271,
        digest: String(index + 10)
            .repeat(32)
            .slice(0, 64),
        details: {
            parent_model: '',
            format: 'gguf',
            family: 'qwen2',
            families: ['qwen2'],
            parameter_size: '7.6B',
            quantization_level: 'Q4_K_M',
        },
    };
}

const fullName = (name) => (name.includes(':') ? name : `${name}:latest`);

const missing = (name) => ({ status: 404, body: { error: `model '${name}' not found` } });

function knows(model, name) {
    return model.models.some((known) => fullName(known) === fullName(name));
}

function vectors({ model, body }) {
    if (!knows(model, body.model ?? '')) return missing(body.model);
    const inputs = Array.isArray(body.input) ? body.input : [body.input ?? ''].filter((text) => text !== '');
    if (inputs.some((text) => typeof text !== 'string'))
        return { status: 400, body: { error: 'invalid input type' } };
    return {
        status: 200,
        body: {
            model: body.model,
            embeddings: inputs.map((text) => model.vector(text)),
            total_duration: 14143917,
            load_duration: 1019500,
            prompt_eval_count: inputs.reduce((sum, text) => sum + countTokens(text), 0),
        },
    };
}

function oneVector({ model, body }) {
    if (!knows(model, body.model ?? '')) return missing(body.model);
    return { status: 200, body: { embedding: body.prompt ? model.vector(body.prompt) : [] } };
}

export const ollama = {
    name: 'ollama',
    contentType: 'application/x-ndjson',
    lazyHead: true,
    chatPath: '/api/chat',
    routes: [
        { method: 'GET', path: '/', answer: () => ({ status: 200, body: 'Ollama is running' }) },
        { method: 'GET', path: '/api/version', answer: () => ({ status: 200, body: { version: VERSION } }) },
        {
            method: 'GET',
            path: '/api/tags',
            answer: ({ model }) => ({ status: 200, body: { models: model.models.map(tag) } }),
        },
        { method: 'POST', path: '/api/embed', answer: vectors },
        { method: 'POST', path: '/api/embeddings', answer: oneVector },
    ],

    /** What the real server refuses; null if it would answer. */
    check({ model, body }) {
        if (typeof body.model !== 'string' || body.model === '')
            return { status: 400, body: { error: 'model is required' } };
        if (!knows(model, body.model)) return missing(body.model);
        if (body.messages !== undefined && !Array.isArray(body.messages))
            return {
                status: 400,
                body: {
                    error:
                        'json: cannot unmarshal into Go struct field ' +
                        'ChatRequest.messages of type []api.Message',
                },
            };
        if (body.options !== undefined && body.options !== null && typeof body.options !== 'object')
            return {
                status: 400,
                body: {
                    error:
                        'json: cannot unmarshal into Go struct field ' +
                        'ChatRequest.options of type map[string]interface {}',
                },
            };
        return null;
    },

    read(body) {
        const messages = body.messages ?? [];
        return {
            messages,
            stream: body.stream !== false,
            system: messages
                .filter((m) => m.role === 'system')
                .map((m) => m.content)
                .join('\n'),
        };
    },

    headers: () => ({}),
    open: () => [],
    token: (talk, text) => [line(talk, { role: 'assistant', content: text }, { done: false })],
    thought: (talk, text) => [
        line(talk, { role: 'assistant', content: '', thinking: text }, { done: false }),
    ],
    close: (talk) => [line(talk, { role: 'assistant', content: '' }, last(talk))],
    whole: (talk, text, thinking) =>
        line(talk, { role: 'assistant', content: text, ...(thinking && { thinking }) }, last(talk)).trimEnd(),
    error: (talk, error) => [
        toJson({ error: error.message ?? 'an error was encountered while running the model' }, 'go') + '\n',
    ],
    failure: ({ status = 500, message }) => ({ error: message ?? `stand-in answers with status ${status}` }),
    malformed: (talk) =>
        `{"model":${JSON.stringify(talk.model)},"message":{"role":"assistant","content":"bro\n`,
};
