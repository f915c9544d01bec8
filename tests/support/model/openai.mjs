// SPDX-License-Identifier: MIT
//
// OpenAI's chat completions: server-sent events without event names, ended by `data: [DONE]`. With
// stream_options.include_usage every chunk has "usage":null and one more chunk, with no choices,
// carries the counts. Embeddings may be asked for as base64 of little-endian floats.

import { countTokens } from './embed.mjs';
import { toJson } from './json.mjs';

const event = (talk, value) => `data: ${toJson(value, talk.json ?? 'plain')}\n\n`;

const problem = (message, type, code = null, param = null) => ({ error: { message, type, param, code } });

const KINDS = {
    400: 'invalid_request_error',
    401: 'invalid_request_error',
    404: 'invalid_request_error',
    429: 'rate_limit_exceeded',
    500: 'server_error',
    503: 'server_error',
};

function chunk(talk, choices, usage = null) {
    const value = {
        id: talk.id,
        object: 'chat.completion.chunk',
        created: talk.created,
        model: talk.model,
        service_tier: 'default',
        system_fingerprint: 'fp_5d12056990',
        choices,
    };
    if (talk.body.stream_options?.include_usage) value.usage = usage;
    return event(talk, value);
}

const choice = (delta, finish = null) => [{ index: 0, delta, logprobs: null, finish_reason: finish }];

function usage(talk) {
    const completion = talk.usage.completion ?? talk.completion;
    return {
        prompt_tokens: talk.usage.prompt,
        completion_tokens: completion,
        total_tokens: talk.usage.prompt + completion,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
        completion_tokens_details: {
            reasoning_tokens: 0,
            audio_tokens: 0,
            accepted_prediction_tokens: 0,
            rejected_prediction_tokens: 0,
        },
    };
}

function unauthorised({ model, headers }) {
    if (!model.apiKey || headers.authorization === `Bearer ${model.apiKey}`) return null;
    const message = headers.authorization ? 'Incorrect API key provided.' : "You didn't provide an API key.";
    return { status: 401, body: problem(message, 'invalid_request_error', 'invalid_api_key') };
}

function unknownModel({ model, body }) {
    if (model.anyModel || model.models.includes(body.model)) return null;
    return {
        status: 404,
        body: problem(
            `The model \`${body.model}\` does not exist or you do not have access to it.`,
            'invalid_request_error',
            'model_not_found',
        ),
    };
}

function list({ model }) {
    const data = model.models.map((id) => ({ id, object: 'model', created: 1715367049, owned_by: 'system' }));
    return { status: 200, body: { object: 'list', data } };
}

function packed(vector) {
    const bytes = Buffer.alloc(vector.length * 4);
    vector.forEach((x, i) => bytes.writeFloatLE(x, i * 4));
    return bytes.toString('base64');
}

function vectors(request) {
    const { model, body } = request;
    const refusal = unauthorised(request) ?? unknownModel(request);
    if (refusal) return refusal;
    const inputs = Array.isArray(body.input) ? body.input : [body.input];
    if (inputs.length === 0 || inputs.some((text) => typeof text !== 'string' || text === ''))
        return { status: 400, body: problem("'$.input' is invalid.", 'invalid_request_error') };
    const tokens = inputs.reduce((sum, text) => sum + countTokens(text), 0);
    const data = inputs.map((text, index) => {
        const vector = model.vector(text, body.dimensions);
        return {
            object: 'embedding',
            index,
            embedding: body.encoding_format === 'base64' ? packed(vector) : vector,
        };
    });
    return {
        status: 200,
        body: {
            object: 'list',
            data,
            model: body.model,
            usage: { prompt_tokens: tokens, total_tokens: tokens },
        },
    };
}

export const openai = {
    name: 'openai',
    contentType: 'text/event-stream; charset=utf-8',
    lazyHead: false,
    chatPath: '/v1/chat/completions',
    routes: [
        { method: 'GET', path: '/v1/models', answer: (request) => unauthorised(request) ?? list(request) },
        { method: 'POST', path: '/v1/embeddings', answer: vectors },
    ],

    check(request) {
        const { body } = request;
        const refusal = unauthorised(request);
        if (refusal) return refusal;
        if (typeof body.model !== 'string' || body.model === '')
            return {
                status: 400,
                body: problem('you must provide a model parameter', 'invalid_request_error'),
            };
        if (!Array.isArray(body.messages) || body.messages.length === 0)
            return {
                status: 400,
                body: problem(
                    "Missing required parameter: 'messages'.",
                    'invalid_request_error',
                    'missing_required_parameter',
                    'messages',
                ),
            };
        const odd = body.messages.findIndex(
            (m) => !['system', 'developer', 'user', 'assistant', 'tool', 'function'].includes(m?.role),
        );
        if (odd >= 0)
            return {
                status: 400,
                body: problem(
                    `Invalid value: '${body.messages[odd]?.role}'.`,
                    'invalid_request_error',
                    'invalid_value',
                    `messages[${odd}].role`,
                ),
            };
        if (body.stream_options && body.stream !== true)
            return {
                status: 400,
                body: problem(
                    "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                    'invalid_request_error',
                    null,
                    'stream_options',
                ),
            };
        return unknownModel(request);
    },

    read(body) {
        const text = (content) =>
            typeof content === 'string'
                ? content
                : (content ?? [])
                      .filter((part) => part.type === 'text')
                      .map((part) => part.text)
                      .join('');
        const messages = body.messages.map((m) => ({ ...m, content: text(m.content) }));
        const system = messages.filter((m) => m.role === 'system' || m.role === 'developer');
        return { messages, stream: body.stream === true, system: system.map((m) => m.content).join('\n') };
    },

    headers: (talk) => ({ 'x-request-id': `req_${talk.id.slice(9)}`, 'openai-processing-ms': '12' }),
    open: (talk) => [chunk(talk, choice({ role: 'assistant', content: '', refusal: null }))],
    token: (talk, text) => [chunk(talk, choice({ content: text }))],
    thought: (talk, text) => [chunk(talk, choice({ reasoning_content: text }))],
    close(talk) {
        const frames = [chunk(talk, choice({}, talk.finish))];
        if (talk.body.stream_options?.include_usage) frames.push(chunk(talk, [], usage(talk)));
        return [...frames, 'data: [DONE]\n\n'];
    },
    whole: (talk, text, thinking) =>
        toJson(
            {
                id: talk.id,
                object: 'chat.completion',
                created: talk.created,
                model: talk.model,
                choices: [
                    {
                        index: 0,
                        message: {
                            role: 'assistant',
                            content: text,
                            refusal: null,
                            annotations: [],
                            ...(thinking && { reasoning_content: thinking }),
                        },
                        logprobs: null,
                        finish_reason: talk.finish,
                    },
                ],
                usage: usage(talk),
                service_tier: 'default',
                system_fingerprint: 'fp_5d12056990',
            },
            talk.json ?? 'plain',
        ),
    error: (talk, error) => [
        event(
            talk,
            problem(
                error.message ?? 'The server had an error while processing your request. Sorry about that!',
                'server_error',
            ),
        ),
    ],
    failure: ({ status = 500, message }) =>
        problem(message ?? `stand-in answers with status ${status}`, KINDS[status] ?? 'server_error'),
    malformed: (talk) => `data: {"id":${JSON.stringify(talk.id)},"choices":[{"delta":{"content":"bro\n\n`,
};
