// SPDX-License-Identifier: MIT
//
// The OpenAPI document: valid, complete, the same from the server as from the command line; and the check that
// holds every other test's answers against it does notice what it is for.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Contract, operationsOf, readDocument } from '../support/contract.mjs';
import { GENIE_BIN, startGenie } from '../support/genie.mjs';

const document = readDocument(GENIE_BIN);

describe('the OpenAPI document', () => {
    let server;

    before(async () => {
        server = await startGenie();
    });
    after(async () => {
        await server.stop();
    });

    test('is valid OpenAPI 3.1', async () => {
        const validator = new Validator();
        const { valid, errors } = await validator.validate(structuredClone(document));
        assert.ok(valid, JSON.stringify(errors));
        assert.equal(validator.version, '3.1');
    });

    test('is what the server shows', async () => {
        const { status, json } = await server.request('/api/openapi.json');
        assert.equal(status, 200);
        assert.deepEqual(json, document);
    });

    test('says of every route what it takes, what it answers and who may call it', () => {
        for (const { method, path, operation } of operationsOf(document)) {
            const what = `${method} ${path}`;
            assert.ok(operation.summary, what);
            assert.ok(operation['x-auth'] && operation['x-access'] && operation['x-kind'], what);
            assert.equal(Boolean(operation.security), operation['x-auth'] !== 'none', what);
            const success = Object.keys(operation.responses).filter((status) => /^2\d\d$/.test(status));
            assert.ok(success.length > 0, `${what} describes no answer`);
            for (const status of success)
                assert.ok(status === '204' || operation.responses[status].content, `${what} ${status}`);
            const named = (operation.parameters ?? []).filter(({ in: place }) => place === 'path');
            assert.deepEqual(
                named.map(({ name }) => name),
                [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
                what,
            );
        }
    });
});

describe('the check of answers', () => {
    const contract = new Contract(document);
    const json = (status, body) => {
        const text = JSON.stringify(body);
        return {
            status,
            headers: { 'content-type': 'application/json; charset=utf-8' },
            bytes: Buffer.from(text),
            text,
            json: body,
        };
    };
    const error = { ok: false, error: 'Not found', code: 'not_found' };
    const row = {
        chatId: 1,
        prompt: 'p',
        response: 'r',
        sources: [],
        actions: [],
        createdAt: '2026-03-13T10:22:00.000Z',
    };
    const history = (change) =>
        json(200, { ok: true, data: [{ ...row, ...change }], meta: { total_count: 1 } });

    const passes = [
        ['GET', '/api/ping', json(200, { online: true, more: 1 })],
        ['GET', '/api/genie/history?limit=1', history({})],
        ['GET', '/api/genie/history', json(503, { ...error, code: 'store_unavailable' })],
        ['GET', '/none', json(404, error)],
        ['GET', '/api/directus/none', json(404, { errors: [{ message: 'm', extensions: { code: 'C' } }] })],
    ];
    for (const [method, path, answer] of passes)
        test(`lets pass ${method} ${path} ${answer.status}`, () => contract.check(method, path, answer));

    const refused = {
        'a member that is missing': ['GET', '/api/ping', json(200, {})],
        'a member of another type': ['GET', '/api/ping', json(200, { online: 'yes' })],
        'a list item of another shape': ['GET', '/api/genie/history', history({ chatId: 'x' })],
        'a time in another form': ['GET', '/api/genie/history', history({ createdAt: 'yesterday' })],
        'a status that is not in the document': ['GET', '/api/ping', json(201, { online: true })],
        'an error in another shape': ['GET', '/api/genie/history', json(401, { error: 'x' })],
        'an error that is not in the table': ['GET', '/none', json(404, { ...error, code: 'lost' })],
        'an error in the shape of another family': ['GET', '/api/directus/items/x', json(403, error)],
        'an answer where there is no route': ['GET', '/none', json(200, {})],
        'another type': ['GET', '/api/docs', json(200, {})],
        'a body that is no JSON': [
            'GET',
            '/api/ping',
            { ...json(200, {}), json: undefined, text: 'x', bytes: Buffer.from('x') },
        ],
    };
    for (const [what, [method, path, answer]] of Object.entries(refused))
        test(`refuses ${what}`, () => {
            assert.throws(() => contract.check(method, path, answer), assert.AssertionError);
        });
});
