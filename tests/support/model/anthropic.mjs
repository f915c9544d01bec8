// SPDX-License-Identifier: MIT
//
// Anthropic's messages: server-sent events with names. message_start (input count), then per block
// content_block_start, deltas and content_block_stop, with a ping after the first start; message_delta
// carries the reason and the output count; message_stop ends it. Errors in the stream are `error`.

import { toJson } from './json.mjs';

const event = (talk, name, rest) =>
    `event: ${name}\ndata: ${toJson({ type: name, ...rest }, talk.json ?? 'plain')}\n\n`;

const KINDS = {
    400: 'invalid_request_error',
    401: 'authentication_error',
    403: 'permission_error',
    404: 'not_found_error',
    413: 'request_too_large',
    429: 'rate_limit_error',
    500: 'api_error',
    504: 'timeout_error',
    529: 'overloaded_error',
};

function problem(status, message) {
    return {
        type: 'error',
        error: { type: KINDS[status] ?? 'api_error', message },
        request_id: 'req_011CSHoEeqs5C35K2UUqR7Fy',
    };
}

const refuse = (status, message) => ({ status, body: problem(status, message) });

const STOPS = { stop: 'end_turn', length: 'max_tokens' };

function usage(talk, output) {
    return {
        input_tokens: talk.usage.prompt,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
        output_tokens: output,
        service_tier: 'standard',
    };
}

const output = (talk) => talk.usage.completion ?? talk.completion;

function message(talk, rest) {
    return { id: talk.id, type: 'message', role: 'assistant', model: talk.model, ...rest };
}

const EMPTY = {
    text: { type: 'text', text: '' },
    thinking: { type: 'thinking', thinking: '', signature: '' },
};

/** Frames that make `kind` the open block. */
function block(talk, kind) {
    if (talk.block?.kind === kind) return [];
    const frames = stopBlock(talk);
    const first = talk.block === undefined;
    talk.block = { kind, index: first ? 0 : talk.block.index + 1 };
    frames.push(event(talk, 'content_block_start', { index: talk.block.index, content_block: EMPTY[kind] }));
    if (first) frames.push(event(talk, 'ping', {}));
    return frames;
}

function stopBlock(talk) {
    if (!talk.block) return [];
    const frames = [];
    if (talk.block.kind === 'thinking')
        frames.push(
            event(talk, 'content_block_delta', {
                index: talk.block.index,
                delta: { type: 'signature_delta', signature: 'EqQBCgIYAhIM1gbcDa9GJwZA2b3h' },
            }),
        );
    frames.push(event(talk, 'content_block_stop', { index: talk.block.index }));
    return frames;
}

function delta(talk, kind, value) {
    return event(talk, 'content_block_delta', { index: talk.block.index, delta: value });
}

const textOf = (content) =>
    typeof content === 'string'
        ? content
        : (content ?? [])
              .filter((part) => part.type === 'text')
              .map((part) => part.text)
              .join('');

function badMessage(messages) {
    for (const [i, m] of messages.entries()) {
        if (m?.role === 'system')
            return (
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` ' +
                'parameter, not "system" as an input message role.'
            );
        if (m?.role !== 'user' && m?.role !== 'assistant')
            return `messages.${i}.role: Input should be 'user' or 'assistant'`;
        const empty = m.content === undefined || m.content.length === 0 || textOf(m.content).trim() === '';
        const pictures = Array.isArray(m.content) && m.content.some((part) => part.type !== 'text');
        if (empty && !pictures)
            return (
                `messages.${i}: all messages must have non-empty content except for the optional final ` +
                'assistant message'
            );
    }
    return messages[0].role === 'user' ? null : 'messages: first message must use the "user" role';
}

export const anthropic = {
    name: 'anthropic',
    contentType: 'text/event-stream; charset=utf-8',
    lazyHead: false,
    chatPath: '/v1/messages',
    routes: [
        {
            method: 'GET',
            path: '/v1/models',
            header: 'anthropic-version',
            answer({ model }) {
                const data = model.models.map((id) => ({
                    type: 'model',
                    id,
                    display_name: id,
                    created_at: '2025-02-19T00:00:00Z',
                }));
                return {
                    status: 200,
                    body: {
                        data,
                        has_more: false,
                        first_id: data[0]?.id ?? null,
                        last_id: data.at(-1)?.id ?? null,
                    },
                };
            },
        },
    ],

    check({ model, body, headers }) {
        if (!headers['x-api-key']) return refuse(401, 'x-api-key header is required');
        if (model.apiKey && headers['x-api-key'] !== model.apiKey) return refuse(401, 'invalid x-api-key');
        if (!headers['anthropic-version']) return refuse(400, 'anthropic-version: header is required');
        if (typeof body.model !== 'string' || body.model === '') return refuse(400, 'model: Field required');
        if (!Number.isInteger(body.max_tokens) || body.max_tokens < 1)
            return refuse(400, 'max_tokens: Field required');
        if (!Array.isArray(body.messages) || body.messages.length === 0)
            return refuse(400, 'messages: at least one message is required');
        if (body.temperature !== undefined && !(body.temperature >= 0 && body.temperature <= 1))
            return refuse(400, 'temperature: range: 0..1');
        const bad = badMessage(body.messages);
        if (bad) return refuse(400, bad);
        if (!model.anyModel && !model.models.includes(body.model)) return refuse(404, `model: ${body.model}`);
        return null;
    },

    read: (body) => ({
        messages: body.messages.map((m) => ({ ...m, content: textOf(m.content) })),
        stream: body.stream === true,
        system: textOf(body.system),
    }),

    headers: () => ({ 'request-id': 'req_011CSHoEeqs5C35K2UUqR7Fy' }),
    open: (talk) => [
        event(talk, 'message_start', {
            message: message(talk, {
                content: [],
                stop_reason: null,
                stop_sequence: null,
                usage: usage(talk, 1),
            }),
        }),
    ],
    token: (talk, text) => [...block(talk, 'text'), delta(talk, 'text', { type: 'text_delta', text })],
    thought: (talk, thinking) => [
        ...block(talk, 'thinking'),
        delta(talk, 'thinking', { type: 'thinking_delta', thinking }),
    ],
    close: (talk) => [
        ...stopBlock(talk),
        event(talk, 'message_delta', {
            delta: { stop_reason: STOPS[talk.finish], stop_sequence: null },
            usage: {
                input_tokens: talk.usage.prompt,
                cache_creation_input_tokens: 0,
                cache_read_input_tokens: 0,
                output_tokens: output(talk),
            },
        }),
        event(talk, 'message_stop', {}),
    ],
    whole(talk, text, thinking) {
        const content = [{ type: 'text', text }];
        if (thinking)
            content.unshift({ type: 'thinking', thinking, signature: 'EqQBCgIYAhIM1gbcDa9GJwZA2b3h' });
        return toJson(
            message(talk, {
                content,
                stop_reason: STOPS[talk.finish],
                stop_sequence: null,
                usage: usage(talk, output(talk)),
            }),
            talk.json ?? 'plain',
        );
    },
    error: (talk, error) => [
        event(talk, 'error', {
            error: {
                type: KINDS[error.status ?? 529] ?? 'api_error',
                message: error.message ?? 'Overloaded',
            },
        }),
    ],
    failure: ({ status = 500, message: text }) =>
        problem(status, text ?? `stand-in answers with status ${status}`),
    malformed: () =>
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"te\n\n',
};
