// SPDX-License-Identifier: MIT
//
// Media jobs as clients make them, what the store says of them, and programs that wait until a test lets them go.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from './dirs.mjs';
import { upload } from './form.mjs';
import { openSse } from './sse.mjs';
import { eventually, quoted, sql } from './talk.mjs';

export const LIMIT_MS = 60_000;

export async function uploadId(server, user, bytes, about) {
    const answer = await upload(server, user, bytes, about);
    assert.equal(answer.status, 200, answer.text);
    return answer.json.data.id;
}

/** A row of media_jobs, made as the dashboard makes it. */
export async function newJob(server, user, values = {}) {
    const answer = await server.request('/api/directus/items/media_jobs', {
        method: 'POST',
        token: user.token,
        body: { operation: 'strip_metadata', ...values },
    });
    assert.equal(answer.status, 200, answer.text);
    return answer.json.data.id;
}

export function enqueue(server, user, body, headers = {}) {
    return server.request('/api/queue/media', { method: 'POST', token: user.token, body, headers });
}

/** The same, of what must succeed: the queue's id. */
export async function enqueued(server, user, body) {
    const answer = await enqueue(server, user, body);
    assert.equal(answer.status, 200, answer.text);
    return answer.json.bullJobId;
}

export const retry = (server, user, id, headers = {}) =>
    server.request(`/api/queue/retry/${id}`, { method: 'POST', token: user.token, headers });
export const cancel = (server, user, id) =>
    server.request(`/api/queue/jobs/${id}`, { method: 'DELETE', token: user.token });
export const look = (server, user, id) => server.request(`/api/queue/jobs/${id}`, { token: user.token });

export async function jobOf(server, user, id) {
    const answer = await look(server, user, id);
    assert.equal(answer.status, 200, answer.text);
    return answer.json.job;
}

/** The job once it has ended. */
export function ended(server, user, id) {
    return eventually(
        async () => {
            const job = await jobOf(server, user, id);
            return ['completed', 'failed'].includes(job.state) ? job : null;
        },
        `the end of ${id}`,
        LIMIT_MS,
    );
}

export async function completed(server, user, id) {
    const job = await ended(server, user, id);
    assert.equal(job.state, 'completed', JSON.stringify(job));
    return job;
}

/** Follows a job as events. */
export const follow = (server, user, id, options = {}) =>
    openSse(`${server.url}/api/queue/jobs/${id}`, { token: user.token, ...options });

export const download = (server, user, id) => server.request(`/api/directus/assets/${id}`, { token: user.token });

/** The row, its outputs, its assets and its runs, as the store has them; JSON as values. */
export function stored(server, id) {
    const value = (field) => (typeof field === 'string' ? JSON.parse(field) : field);
    const parsed = (row) => {
        for (const name of ['params', 'result', 'data']) if (name in row) row[name] = value(row[name]);
        return row;
    };
    const rows = (text) => sql(server, text).map(parsed);
    return {
        row: rows(`SELECT * FROM media_jobs WHERE id = ${quoted(id)}`)[0],
        outputs: rows(`SELECT * FROM media_job_outputs WHERE media_job_id = ${quoted(id)}`),
        assets: rows(`SELECT * FROM media_assets WHERE source_job_id = ${quoted(id)}`),
        runs: rows(`SELECT * FROM queue_jobs WHERE media_job_id = ${quoted(id)} ORDER BY seq`),
    };
}

/** Units of media operations that a user has used. */
export async function unitsOf(server, user) {
    const { json } = await server.request('/api/usage', { token: user.token });
    return json.usage.media_modifications;
}

/** Directories of runs that are there now. */
export function workDirs(server) {
    const root = join(server.dataDir, 'tmp');
    return existsSync(root) ? readdirSync(root).filter((name) => name.startsWith('media-')) : [];
}

/**
 * Puts programs of these names before the real ones: each waits until open() before it becomes the real one. env is
 * for the server; begun() is true once one of them was started.
 */
export function gate(...programs) {
    const dir = tempDir('genie-gate-');
    for (const program of programs) {
        const real = execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
        const path = join(dir, program);
        writeFileSync(
            path,
            `#!/bin/sh\n: > '${dir}/begun'\nwhile [ ! -e '${dir}/open' ]; do sleep 0.05; done\nexec '${real}' "$@"\n`,
        );
        chmodSync(path, 0o755);
    }
    return {
        dir,
        env: { PATH: `${dir}:${process.env.PATH}` },
        open: () => writeFileSync(join(dir, 'open'), ''),
        begun: () => eventually(() => existsSync(join(dir, 'begun')), 'a program', LIMIT_MS),
    };
}
