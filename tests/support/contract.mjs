// SPDX-License-Identifier: MIT
//
// Holds answers against the OpenAPI document of the binary under test. Every answer that a test gets through
// Genie.request() comes by here, so a route can't answer what it doesn't say.
//
//     contractOf(binary).check('GET', '/api/ping', answer);   // throws where it is none of the documented ones

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const JSON_TYPE = 'application/json';
const DIRECTUS = '/api/directus';

/** What `genie openapi` prints. */
export function readDocument(binary) {
    const { stdout, stderr, status } = spawnSync(binary, ['openapi'], {
        encoding: 'utf8',
        maxBuffer: 64 << 20,
    });
    assert.equal(status, 0, `genie openapi: ${stderr}`);
    return JSON.parse(stdout);
}

/** [{method, path, operation}] of a document, in its order. */
export function operationsOf(document) {
    return Object.entries(document.paths).flatMap(([path, item]) =>
        METHODS.filter((method) => item[method]).map((method) => ({
            method: method.toUpperCase(),
            path,
            operation: item[method],
        })),
    );
}

const escaped = (part) => part.replaceAll('~', '~0').replaceAll('/', '~1');
const pointer = (...parts) => `#/${parts.map(escaped).join('/')}`;
const isParameter = (segment) => segment.startsWith('{');

/** The parameters a template leaves open, or null where the path is another one. */
function openSegments(template, path) {
    const wanted = template.split('/');
    const given = path.split('/');
    if (wanted.length !== given.length) return null;
    const fits = wanted.every((segment, i) =>
        isParameter(segment) ? given[i] !== '' : segment === given[i],
    );
    return fits ? wanted.filter(isParameter).length : null;
}

export class Contract {
    constructor(document) {
        this.document = document;
        this.ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false });
        addFormats.default(this.ajv);
        this.ajv.addSchema(document, 'document');
        this.validators = new Map();
    }

    /** Throws unless the answer is one that the document has for this request. */
    check(method, target, answer) {
        if (method === 'HEAD' || method === 'OPTIONS') return;
        const path = target.split(/[?#]/)[0];
        const what = `${method} ${target}: ${answer.status} ${answer.text.slice(0, 500)}`;
        const template = this.#template(path);
        const operation = template && this.document.paths[template][method.toLowerCase()];
        if (!operation) return this.#checkUnrouted(path, answer, what);
        const { responses } = operation;
        const status = [String(answer.status), `${String(answer.status)[0]}XX`, 'default'].find(
            (key) => responses[key],
        );
        assert.ok(status, `undocumented status of ${what}`);
        const content = responses[status].content;
        if (!content) {
            assert.ok(answer.status !== 204 || answer.bytes.length === 0, `204 with a body of ${what}`);
            return;
        }
        const sent = (answer.headers['content-type'] ?? '').split(';')[0];
        assert.ok(content[sent] ?? content['*/*'], `undocumented type ${sent || '(none)'} of ${what}`);
        if (sent === JSON_TYPE && content[sent])
            this.#validate(
                pointer(
                    'paths',
                    template,
                    method.toLowerCase(),
                    'responses',
                    status,
                    'content',
                    sent,
                    'schema',
                ),
                answer,
                what,
            );
    }

    #template(path) {
        let best = null;
        let least = Infinity;
        for (const template of Object.keys(this.document.paths)) {
            const open = openSegments(template, path);
            if (open !== null && open < least) [best, least] = [template, open];
        }
        return best;
    }

    /** No such path, or no such method there. */
    #checkUnrouted(path, answer, what) {
        assert.ok(answer.status >= 400, `no route, but ${what}`);
        if (answer.bytes.length === 0) return;
        const schema = path.startsWith(DIRECTUS) ? 'DirectusError' : 'Error';
        this.#validate(pointer('components', 'schemas', schema), answer, what);
    }

    #validate(at, answer, what) {
        if (!this.validators.has(at)) this.validators.set(at, this.ajv.compile({ $ref: `document${at}` }));
        const validate = this.validators.get(at);
        assert.notEqual(answer.json, undefined, `no JSON: ${what}`);
        assert.ok(validate(answer.json), `${this.ajv.errorsText(validate.errors)}: ${what}`);
    }
}

const contracts = new Map();

/** The contract of a binary, read once. */
export function contractOf(binary) {
    if (!contracts.has(binary)) contracts.set(binary, new Contract(readDocument(binary)));
    return contracts.get(binary);
}
