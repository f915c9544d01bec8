// SPDX-License-Identifier: MIT
//
// /api/queue with no worker beside it, so that jobs stay as they were put: what is refused and in which order, that a
// job and its unit come and go together, who sees which jobs, and jobs as events.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { gif } from '../support/form.mjs';
import { startGenie } from '../support/genie.mjs';
import {
    cancel,
    enqueue,
    enqueued,
    follow,
    jobOf,
    look,
    newJob,
    retry,
    stored,
    unitsOf,
    uploadId,
} from '../support/jobs.mjs';
import { eventually, quoted, sql } from '../support/talk.mjs';

const AT_ONCE = 64;
const STARTER = 5; // media operations of a starter
const ITEMS = '/api/directus/items';

const shown = ({ status, text }) => `${status} ${text.slice(0, 300)}`;
const assertRefused = (answer, status, code, field) =>
    assert.deepEqual(
        [answer.status, answer.json?.code, answer.json?.field],
        [status, code, field],
        shown(answer),
    );

describe('the queue', () => {
    let server, anna, bert, viewer, admin, photo, mark, foreign;

    before(async () => {
        server = await startGenie({
            env: { WORKER_CONCURRENCY_MEDIA: '0', STREAM_HEARTBEAT_S: '1', LOG_LEVEL: 'info' },
        });
        anna = await server.addUser({ tier: 'studio' });
        bert = await server.addUser({ tier: 'studio' });
        viewer = await server.addUser({ role: 'Viewer' });
        admin = await server.addUser({ role: 'Administrator', tier: 'studio' });
        photo = await uploadId(server, anna, gif());
        mark = await uploadId(server, anna, gif());
        foreign = await uploadId(server, bert, gif());
    });
    after(async () => await server.stop());

    const resize = (values = {}) => ({ operation: 'resize_image', params: { width: 10 }, ...values });

    /** A job of somebody's that waits: {id, run}. */
    async function waiting(user = anna, file = photo, more = {}) {
        const id = await newJob(server, user, { operation: 'resize_image', input_file_id: file });
        return { id, run: await enqueued(server, user, resize({ jobId: id, ...more })) };
    }

    describe('what is refused', () => {
        for (const [what, change, field] of [
            ['no jobId', { jobId: undefined }, 'jobId'],
            ['an empty jobId', { jobId: '' }, 'jobId'],
            ['a jobId that is no UUID', { jobId: 'x' }, 'jobId'],
            ['a number as jobId', { jobId: 7 }, 'jobId'],
            ['no operation', { operation: undefined }, 'operation'],
            ['an operation that is not there', { operation: 'explode' }, 'operation'],
            ['an operation with a path', { operation: '../resize_image' }, 'operation'],
            ['a file that is no UUID', { input_file_id: '/etc/passwd' }, 'input_file_id'],
            ['params that are a list', { params: [] }, 'params'],
            ['params that are a text', { params: '{}' }, 'params'],
            ['a priority below', { priority: -1 }, 'priority'],
            ['a priority above', { priority: 2097152 }, 'priority'],
            ['a priority that is no whole number', { priority: 1.5 }, 'priority'],
            ['an address that is a number', { input_url: 5 }, 'input_url'],
            ['an address that is too long', { input_url: `http://example.com/${'x'.repeat(3000)}` }, 'input_url'],
        ])
            test(`${what}: 400`, async () => {
                const answer = await enqueue(server, anna, resize({ jobId: randomUUID(), ...change }));
                assert.equal(answer.status, 400, shown(answer));
                assert.equal(answer.json.field, field, shown(answer));
            });

        test('a body that is no JSON, or too large', async () => {
            assertRefused(await enqueue(server, anna, '{"jobId":'), 400, 'malformed_json', undefined);
            const large = { jobId: randomUUID(), operation: 'resize_image', params: { x: 'y'.repeat(1 << 20) } };
            assert.equal((await enqueue(server, anna, large)).status, 413);
        });

        test('params by their descriptors, with the name of the one to blame', async () => {
            const id = await newJob(server, anna, { operation: 'apply_watermark', input_file_id: photo });
            const marked = (params) => ({ jobId: id, operation: 'apply_watermark', params });
            for (const [params, field] of [
                [{}, 'params.watermark_file_id'],
                [{ watermark_file_id: 'x' }, 'params.watermark_file_id'],
                [{ watermark_file_id: mark, opacity: 101 }, 'params.opacity'],
                [{ watermark_file_id: mark, opacity: 'much' }, 'params.opacity'],
                [{ watermark_file_id: mark, position: 'above' }, 'params.position'],
                [{ watermark_file_id: mark, format: '-version' }, 'params.format'],
            ]) {
                const answer = await enqueue(server, anna, marked(params));
                assert.deepEqual([answer.status, answer.json.field], [400, field], shown(answer));
            }
            assert.equal(stored(server, id).row.status, 'pending');
            assert.deepEqual(stored(server, id).runs, []);
        });

        test('a job without what its operation works on', async () => {
            const id = await newJob(server, anna, { operation: 'resize_image' });
            assertRefused(await enqueue(server, anna, resize({ jobId: id })), 400, 'missing_field', 'input_file_id');
            const info = { jobId: id, operation: 'ytdlp_info' };
            assertRefused(await enqueue(server, anna, info), 400, 'missing_field', 'input_url');
        });

        test('addresses that lead inside, or nowhere', async () => {
            const id = await newJob(server, anna, { operation: 'ytdlp_info' });
            for (const input_url of [
                'http://127.0.0.1/x.mp4',
                'http://127.1/',
                'http://2130706433/',
                'http://0x7f.0.0.1/',
                'http://[::1]/',
                'http://[::ffff:10.0.0.1]/',
                'http://10.1.2.3/',
                'http://192.168.0.1/',
                'http://169.254.169.254/latest/meta-data/',
                'http://user:secret@example.com/',
                'file:///etc/passwd',
                'ftp://example.com/x',
                'concat:/etc/passwd',
                'example.com',
                '--exec',
            ]) {
                const answer = await enqueue(server, anna, { jobId: id, operation: 'ytdlp_info', input_url });
                assertRefused(answer, 400, 'url_not_allowed', 'input_url');
                const asParam = { jobId: id, operation: 'ytdlp_info', params: { input_url } };
                assert.equal((await enqueue(server, anna, asParam)).status, 400, input_url);
            }
            assert.deepEqual(stored(server, id).runs, []);
        });

        test('first what is not theirs, then what runs already, then params, then the plan', async () => {
            const poor = await server.addUser({ tier: 'starter' });
            const own = await uploadId(server, poor, gif());
            sql(
                server,
                `UPDATE directus_users SET subscription_tier = 'starter' WHERE id = ${quoted(poor.id)}`,
            );
            for (let i = 0; i < STARTER; i++) await waiting(poor, own);
            const wrong = { params: { width: -1 } };
            const job = await newJob(server, poor, { operation: 'resize_image', input_file_id: own });
            const ask = (values) => enqueue(server, poor, resize({ jobId: job, ...values }));
            // everything is wrong at once
            assertRefused(await ask({ ...wrong, input_file_id: foreign }), 404, 'not_found', 'input_file_id');
            assertRefused(await ask(wrong), 400, 'invalid_field', 'params.width');
            const full = await ask({});
            assert.equal(full.status, 403, shown(full));
            assert.deepEqual(
                [full.json.code, full.json.reason, full.json.limit, full.json.used],
                ['tier_limit_reached', 'limit_reached', STARTER, STARTER],
            );
            sql(server, `UPDATE media_jobs SET status = 'queued', bull_job_id = '${job}-1' WHERE id = '${job}'`);
            assertRefused(await ask(wrong), 409, 'job_already_queued', 'jobId');
            assertRefused(await ask({ ...wrong, input_file_id: foreign }), 404, 'not_found', 'input_file_id');
            assert.equal(await unitsOf(server, poor), STARTER);
        });

        test('whatever is somebody else\'s is not there', async () => {
            const before = await unitsOf(server, anna);
            const hers = await newJob(server, bert, { operation: 'resize_image', input_file_id: foreign });
            const mine = await newJob(server, anna, { operation: 'resize_image', input_file_id: photo });
            assertRefused(await enqueue(server, anna, resize({ jobId: hers })), 404, 'not_found', 'jobId');
            assertRefused(await enqueue(server, anna, resize({ jobId: randomUUID() })), 404, 'not_found', 'jobId');
            const ask = (values) => enqueue(server, anna, { jobId: mine, operation: 'apply_watermark', ...values });
            const profile = { params: { watermark_file_id: mark }, creator_profile_id: randomUUID() };
            assertRefused(await ask(profile), 404, 'not_found', 'creator_profile_id');
            for (const id of [foreign, randomUUID()]) {
                const marked = { params: { watermark_file_id: id } };
                assertRefused(await ask(marked), 404, 'not_found', 'params.watermark_file_id');
                const joined = { operation: 'join_videos', params: { input_file_ids: [photo, id] } };
                assertRefused(await ask(joined), 404, 'not_found', 'params.input_file_ids');
            }
            // an administrator's rights reach others' jobs, but not to begin them in his name
            assertRefused(await enqueue(server, admin, resize({ jobId: hers })), 404, 'not_found', 'jobId');
            assert.equal(await unitsOf(server, anna), before);
        });

        test('a read-only user reads the queue and changes nothing', async () => {
            const { id } = await waiting();
            for (const answer of [
                await enqueue(server, viewer, resize({ jobId: id })),
                await retry(server, viewer, id),
                await cancel(server, viewer, id),
            ])
                assertRefused(answer, 403, 'read_only', undefined);
            assert.equal((await look(server, viewer, id)).status, 404);
            for (const path of ['/api/queue/jobs', '/api/queue/stats'])
                assert.equal((await server.request(path, { token: viewer.token })).status, 200);
        });
    });

    describe('a job and its unit', () => {
        test('come together, and the row says what will be run', async () => {
            const before = await unitsOf(server, anna);
            const id = await newJob(server, anna);
            const answer = await enqueue(server, anna, {
                jobId: id.toUpperCase(),
                operation: 'apply_watermark',
                inputFileId: photo.toUpperCase(),
                params: { watermark_file_id: mark, opacity: 50 },
                unknown: 'is ignored',
            });
            assert.deepEqual(answer.json, { ok: true, bullJobId: `${id}-1`, jobId: id }, shown(answer));
            const { row, runs } = stored(server, id);
            assert.deepEqual(
                [row.status, row.operation, row.bull_job_id, row.input_file_id, Number(row.priority)],
                ['queued', 'apply_watermark', `${id}-1`, photo, 10],
            );
            assert.deepEqual(row.params, { watermark_file_id: mark, opacity: 50 });
            assert.equal(runs.length, 1);
            const data = runs[0].data;
            assert.deepEqual(
                [data.jobId, data.operation, data.input_file_id, data.user_id],
                [id, 'apply_watermark', photo, anna.id],
            );
            assert.equal(await unitsOf(server, anna), before + 1);
            const job = await jobOf(server, anna, id);
            assert.deepEqual(
                [job.id, job.bullJobId, job.queue, job.state, job.progress, job.attempts, job.result, job.error],
                [id, `${id}-1`, 'media-jobs', 'prioritized', 0, 0, null, null],
            );
            assert.deepEqual(await jobOf(server, anna, `${id}-1`), job);
        });

        test('what the body leaves out is the row\'s own', async () => {
            const params = { width: 33 };
            const id = await newJob(server, anna, { operation: 'resize_image', input_file_id: photo, params });
            await enqueued(server, anna, { jobId: id, operation: 'resize_image' });
            assert.deepEqual(stored(server, id).runs[0].data.params, params);
            assert.equal(stored(server, id).runs[0].data.input_file_id, photo);
        });

        test('what is free counts nothing', async () => {
            const before = await unitsOf(server, anna);
            const id = await newJob(server, anna, { operation: 'strip_metadata', input_file_id: photo });
            await enqueued(server, anna, { jobId: id, operation: 'strip_metadata' });
            assert.equal(await unitsOf(server, anna), before);
        });

        test(`of ${AT_ONCE} requests for one row one runs it`, async () => {
            const before = await unitsOf(server, anna);
            const id = await newJob(server, anna, { operation: 'resize_image', input_file_id: photo });
            const answers = await Promise.all(
                Array.from({ length: AT_ONCE }, () => enqueue(server, anna, resize({ jobId: id }))),
            );
            const passed = answers.filter(({ status }) => status === 200);
            assert.equal(passed.length, 1);
            for (const answer of answers.filter(({ status }) => status !== 200))
                assertRefused(answer, 409, 'job_already_queued', 'jobId');
            assert.equal(stored(server, id).runs.length, 1);
            assert.equal(await unitsOf(server, anna), before + 1);
        });

        for (const left of [0, 1, STARTER])
            test(`of ${AT_ONCE} jobs at once ${left} are queued where ${left} units are left`, async () => {
                const poor = await server.addUser({ tier: 'starter' });
                const file = await uploadId(server, poor, gif());
                for (let i = 0; i < STARTER - left; i++) await waiting(poor, file);
                const ids = Array.from({ length: AT_ONCE }, () => randomUUID());
                sql(
                    server,
                    `INSERT INTO media_jobs (id, user_id, operation, input_file_id) VALUES ${ids
                        .map((id) => `('${id}', '${poor.id}', 'resize_image', '${file}')`)
                        .join(', ')}`,
                );
                const answers = await Promise.all(ids.map((id) => enqueue(server, poor, resize({ jobId: id }))));
                assert.equal(answers.filter(({ status }) => status === 200).length, left);
                for (const answer of answers.filter(({ status }) => status !== 200))
                    assert.deepEqual([answer.status, answer.json.reason], [403, 'limit_reached'], shown(answer));
                assert.equal(await unitsOf(server, poor), STARTER);
                const [{ n }] = sql(server, `SELECT count(*) AS n FROM queue_jobs WHERE user_id = '${poor.id}'`);
                assert.equal(Number(n), STARTER);
                const [{ m }] = sql(
                    server,
                    `SELECT count(*) AS m FROM media_jobs WHERE user_id = '${poor.id}' AND status = 'queued'`,
                );
                assert.equal(Number(m), STARTER);
            });

        test('a cancelled job gives its unit back, once, and can be tried again', async () => {
            const before = await unitsOf(server, anna);
            const { id, run } = await waiting();
            assert.equal(await unitsOf(server, anna), before + 1);
            const answers = await Promise.all(Array.from({ length: 8 }, () => cancel(server, anna, id)));
            assert.equal(answers.filter(({ status }) => status === 200).length, 1);
            for (const answer of answers.filter(({ status }) => status !== 200))
                assertRefused(answer, 409, 'job_ended', 'jobId');
            const [{ json }] = answers.filter(({ status }) => status === 200);
            assert.deepEqual([json.job.state, json.job.error], ['failed', 'cancelled']);
            assert.equal(await unitsOf(server, anna), before);
            assert.deepEqual(
                [stored(server, id).row.status, stored(server, id).row.error_message],
                ['failed', 'cancelled'],
            );

            const again = await retry(server, anna, run);
            assert.deepEqual(again.json, { ok: true, bullJobId: `${id}-2`, jobId: id, priority: 5 }, shown(again));
            assert.equal(await unitsOf(server, anna), before + 1);
            const { row, runs } = stored(server, id);
            assert.deepEqual(
                [row.status, row.bull_job_id, row.error_message, Number(row.priority)],
                ['queued', `${id}-2`, null, 5],
            );
            assert.deepEqual(runs.map((each) => [each.state, Number(each.priority)]), [
                ['failed', 10],
                ['waiting', 5],
            ]);
            assert.equal(runs[1].data.previous_error, 'cancelled');
            for (const key of [id, `${id}-2`, run])
                assertRefused(await retry(server, anna, key), 409, 'job_not_failed', undefined);
            await cancel(server, anna, id);
            assert.equal(await unitsOf(server, anna), before);
        });

        test('a failed job may also be put in anew, as something else', async () => {
            const { id } = await waiting();
            await cancel(server, anna, id);
            const body = { jobId: id, operation: 'convert_image', params: { format: 'png' }, priority: 0 };
            assert.equal(await enqueued(server, anna, body), `${id}-2`);
            const { row } = stored(server, id);
            assert.deepEqual([row.operation, Number(row.priority)], ['convert_image', 0]);
            assert.equal((await jobOf(server, anna, id)).state, 'waiting');
        });

        test('of many retries one runs; where the plan has nothing left, none', async () => {
            const poor = await server.addUser({ tier: 'starter' });
            const file = await uploadId(server, poor, gif());
            const { id } = await waiting(poor, file);
            await cancel(server, poor, id);
            const answers = await Promise.all(Array.from({ length: 16 }, () => retry(server, poor, id)));
            assert.equal(answers.filter(({ status }) => status === 200).length, 1);
            for (const answer of answers.filter(({ status }) => status !== 200))
                assert.deepEqual([answer.status, answer.json.code], [409, 'job_not_failed'], shown(answer));
            assert.equal(await unitsOf(server, poor), 1);
            await cancel(server, poor, id);
            for (let i = 0; i < STARTER; i++) await waiting(poor, file);
            const refused = await retry(server, poor, id);
            assert.deepEqual([refused.status, refused.json.code], [403, 'tier_limit_reached'], shown(refused));
            assert.equal(stored(server, id).runs.length, 2);
        });

        test('the same Idempotency-Key is the same job', async () => {
            const before = await unitsOf(server, anna);
            const id = await newJob(server, anna, { operation: 'resize_image', input_file_id: photo });
            const key = { 'Idempotency-Key': randomUUID() };
            const first = await enqueue(server, anna, resize({ jobId: id }), key);
            const second = await enqueue(server, anna, resize({ jobId: id }), key);
            assert.equal(first.status, 200, shown(first));
            assert.deepEqual([second.status, second.text], [200, first.text]);
            assert.equal(second.headers['idempotent-replayed'], 'true');
            const other = await enqueue(server, anna, resize({ jobId: id, priority: 1 }), key);
            assertRefused(other, 422, 'idempotency_mismatch', undefined);
            assert.equal(await unitsOf(server, anna), before + 1);
            await cancel(server, anna, id);
            const again = { 'Idempotency-Key': randomUUID() };
            const retried = await retry(server, anna, id, again);
            assert.equal(retried.status, 200, shown(retried));
            assert.equal((await retry(server, anna, id, again)).text, retried.text);
            assert.equal(stored(server, id).runs.length, 2);
        });

        test('a row can\'t be deleted while its job waits', async () => {
            const { id } = await waiting();
            const remove = () =>
                server.request(`${ITEMS}/media_jobs/${id}`, { method: 'DELETE', token: anna.token });
            assert.equal((await remove()).status, 403);
            await cancel(server, anna, id);
            assert.equal((await remove()).status, 204);
            assert.equal((await look(server, anna, id)).status, 404);
        });
    });

    describe('looking', () => {
        test('one\'s own jobs, newest first, by queue and state', async () => {
            const carla = await server.addUser({ tier: 'studio' });
            const file = await uploadId(server, carla, gif());
            const made = [];
            for (let i = 0; i < 3; i++) made.unshift(await waiting(carla, file, { priority: i }));
            await cancel(server, carla, made[2].id);
            const list = async (query) => {
                const answer = await server.request(`/api/queue/jobs${query}`, { token: carla.token });
                assert.equal(answer.status, 200, shown(answer));
                return answer.json.jobs;
            };
            const ids = async (query) => (await list(query)).map((job) => job.id);
            const all = made.map(({ id }) => id);
            assert.deepEqual(await ids(''), all);
            assert.deepEqual(await ids('?queue=media-jobs'), all);
            assert.deepEqual(await ids('?queue=scrape-jobs'), []);
            assert.deepEqual(await ids('?state=failed'), [made[2].id]);
            assert.deepEqual(await ids('?state=prioritized'), all.slice(0, 2));
            assert.deepEqual(await ids('?state=completed'), []);
            assert.deepEqual(await ids('?limit=1'), all.slice(0, 1));
            assert.deepEqual(await ids('?limit=1&offset=2'), all.slice(2));
            const [job] = await list('?limit=1');
            const { log, ...rest } = await jobOf(server, carla, made[0].id);
            assert.deepEqual([job, log], [rest, []]);
            for (const [query, field] of [
                ['?state=dead', 'state'],
                ['?queue=other', 'queue'],
                ['?limit=0', 'limit'],
                ['?limit=201', 'limit'],
                ['?offset=-1', 'offset'],
            ]) {
                const answer = await server.request(`/api/queue/jobs${query}`, { token: carla.token });
                assertRefused(answer, 400, 'invalid_query', field);
            }
        });

        test('a list of the largest results is answered, without them; each job has its own', async () => {
            const dora = await server.addUser();
            const [many, type] = server.databaseUrl
                ? ["repeat('ä', 523000)", '::jsonb']
                : ["replace(hex(zeroblob(523000)), '00', 'ä')", ''];
            const add = (name, n, result) =>
                sql(
                    server,
                    `INSERT INTO queue_jobs (id, queue, operation, user_id, state, result)
                        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${n})
                        SELECT '${name}-' || i, 'scrape-jobs', 'x', ${quoted(dora.id)}, 'completed', ${result} FROM n`,
                );
            const text = (length) => `'"${'x'.repeat(length - 2)}"'${type}`;
            add('none', 1, 'NULL');
            add('fits', 1, text(65_536));
            add('above', 1, text(65_537));
            add('large', 37, `('{"text":"' || ${many} || '"}')${type}`);
            const answer = await server.request('/api/queue/jobs?limit=200', { token: dora.token });
            assert.equal(answer.status, 200, shown(answer));
            const { jobs } = answer.json;
            assert.equal(jobs.length, 40);
            for (const job of jobs.slice(0, 38)) assert.deepEqual([job.result, job.resultOmitted], [null, true]);
            assert.deepEqual(jobs.slice(38).map((job) => job.result?.length), [65_534, undefined]);
            for (const job of jobs.slice(38)) assert.ok(!('resultOmitted' in job));
            const large = await jobOf(server, dora, 'large-1');
            assert.equal(large.result.text.length, 523_000);
            assert.ok(!('resultOmitted' in large));
            sql(server, `DELETE FROM queue_jobs WHERE user_id = ${quoted(dora.id)}`);
        });

        test('how many there are', async () => {
            const stats = async () => (await server.request('/api/queue/stats', { token: anna.token })).json;
            const before = (await stats()).stats['media-jobs'];
            const [one, two] = [await waiting(), await waiting(anna, photo, { priority: 0 })];
            await cancel(server, anna, two.id);
            const { ok, stats: now, taxonomy_cache } = await stats();
            assert.equal(ok, true);
            assert.deepEqual(Object.keys(now), ['media-jobs', 'scrape-jobs', 'onboarding-jobs']);
            assert.deepEqual(now['media-jobs'], {
                waiting: before.waiting + 1,
                active: 0,
                completed: before.completed,
                failed: before.failed + 1,
                delayed: 0,
            });
            assert.deepEqual(Object.keys(taxonomy_cache).sort(), ['hits', 'misses', 'size']);
            await cancel(server, anna, one.id);
        });

        test('others\' jobs are not there, but for an administrator, who may end and retry them', async () => {
            const before = await unitsOf(server, anna);
            const { id, run } = await waiting();
            for (const key of [id, run, randomUUID(), 'nothing', `${randomUUID()}-1`, 'x'.repeat(200), '7'])
                for (const answer of [
                    await look(server, bert, key),
                    await cancel(server, bert, key),
                    await retry(server, bert, key),
                ])
                    assertRefused(answer, 404, 'not_found', 'jobId');
            const never = await newJob(server, anna);
            assertRefused(await look(server, anna, never), 404, 'not_found', 'jobId');
            assert.deepEqual(await jobOf(server, admin, id), await jobOf(server, anna, id));
            assert.equal((await cancel(server, admin, id)).status, 200);
            assert.equal(await unitsOf(server, anna), before);
            assert.equal((await retry(server, admin, id)).status, 200);
            assert.equal(await unitsOf(server, anna), before + 1);
            assert.equal(await unitsOf(server, admin), 0);
            assert.equal(stored(server, id).row.user_id, anna.id);
        });

        test('an old job is told from its row when the queue keeps it no more', async () => {
            const { id } = await waiting();
            await cancel(server, anna, id);
            const before = await jobOf(server, anna, id);
            sql(server, `DELETE FROM queue_jobs WHERE media_job_id = '${id}'`);
            const job = await jobOf(server, anna, id);
            assert.deepEqual(
                [job.id, job.bullJobId, job.state, job.error, job.operation],
                [before.id, before.bullJobId, 'failed', 'cancelled', before.operation],
            );
            assert.equal((await retry(server, anna, id)).status, 200);
        });
    });

    describe('a job as events', () => {
        test('its state now, each change, and the end', async () => {
            const { id } = await waiting();
            const stream = await follow(server, anna, id);
            assert.deepEqual([stream.status, stream.headers['cache-control']], [200, 'no-cache']);
            assert.equal((await stream.next()).json.state, 'prioritized');
            await eventually(() => stream.comments.length > 0, 'a heartbeat', 30_000);
            await cancel(server, anna, id);
            await stream.ended();
            assert.equal(stream.complete, true);
            assert.deepEqual(stream.events.at(-1).json, await jobOf(server, anna, id));
            assert.equal(stream.events.at(-1).json.state, 'failed');
            for (const event of stream.events) assert.equal(event.json.id, id);
        });

        test('one that has ended is told once; a Last-Event-ID begins it anew', async () => {
            const { id } = await waiting();
            await cancel(server, anna, id);
            for (const headers of [{}, { 'Last-Event-ID': '7' }, { 'Last-Event-ID': `${randomUUID()}:1` }]) {
                const stream = await follow(server, anna, id, { headers });
                await stream.ended();
                assert.deepEqual(stream.events.map(({ json }) => json.state), ['failed']);
            }
        });

        test('one with the largest result and log is told, and holds up no other', async () => {
            const large = await waiting();
            const { id } = await waiting();
            await cancel(server, anna, large.id);
            const [many, type] = server.databaseUrl
                ? ["repeat('x', 1048000)", '::jsonb']
                : ["replace(hex(zeroblob(1048000)), '00', 'x')", ''];
            sql(
                server,
                `UPDATE queue_jobs SET state = 'completed', error = NULL,
                    result = ('{"text":"' || ${many} || '"}')${type} WHERE id = '${large.run}'`,
            );
            sql(
                server,
                `INSERT INTO queue_job_logs (job_id, line)
                    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
                    SELECT '${large.run}', '${'"'.repeat(1000)}' FROM n`,
            );
            const told = await follow(server, anna, large.id);
            const other = await follow(server, anna, id);
            assert.equal((await other.next()).json.state, 'prioritized');
            await told.ended();
            assert.deepEqual(told.events.map(({ json }) => [json.state, json.result.text.length, json.log.length]), [
                ['completed', 1_048_000, 200],
            ]);
            await cancel(server, anna, id);
            await other.ended();
        });

        test('is nobody else\'s, nor a chat that could be stopped', async () => {
            const { id } = await waiting();
            assert.equal((await follow(server, bert, id)).status, 404);
            const stream = await follow(server, anna, id);
            const [uuid] = (await stream.next()).id.split(':');
            for (const method of ['DELETE', 'GET'])
                for (const user of [anna, bert]) {
                    const path = `/api/genie/stream-chat/${uuid}`;
                    const answer = await server.request(path, { method, token: user.token });
                    assert.equal(answer.status, 404, `${method} ${shown(answer)}`);
                }
            await server.assertWell();
            stream.cut();
            await cancel(server, anna, id);
        });

        test('a user follows 64 at a time, which takes nothing from others', async () => {
            const [own, other] = [await waiting(), await waiting(bert, foreign)];
            const streams = await Promise.all(Array.from({ length: 80 }, () => follow(server, admin, own.id)));
            const refused = streams.filter(({ status }) => status !== 200);
            assert.equal(refused.length, 16);
            for (const stream of refused) {
                await stream.ended();
                assert.deepEqual([stream.status, stream.json.code], [429, 'rate_limited']);
                assert.ok(Number(stream.headers['retry-after']) > 0);
            }
            assert.equal((await look(server, admin, own.id)).status, 200);
            for (const [user, { id }] of [[anna, own], [bert, other]])
                streams.push(await follow(server, user, id));
            for (const { id } of [own, other]) await cancel(server, admin, id);
            for (const stream of streams) await stream.ended();
            assert.deepEqual(streams.slice(-2).map(({ events }) => events.at(-1).json.state), ['failed', 'failed']);
            const again = await follow(server, admin, other.id);
            assert.equal(again.status, 200);
            await again.ended();
        });

        test('many follow one job, and those who leave are let go', async () => {
            const { id } = await waiting();
            const streams = await Promise.all(
                Array.from({ length: 24 }, () => follow(server, anna, id)),
            );
            await Promise.all(streams.map((stream) => stream.next()));
            for (const stream of streams.slice(0, 12)) stream.cut();
            await cancel(server, anna, id);
            for (const stream of streams.slice(12)) {
                await stream.ended();
                assert.equal(stream.events.at(-1).json.state, 'failed');
            }
            await server.assertWell();
        });
    });

    test('where the queue\'s table is gone nothing is counted, and nothing queued', async () => {
        const before = await unitsOf(server, anna);
        const id = await newJob(server, anna, { operation: 'resize_image', input_file_id: photo });
        sql(server, 'ALTER TABLE queue_jobs RENAME COLUMN operation TO gone');
        try {
            assertRefused(await enqueue(server, anna, resize({ jobId: id })), 503, 'store_unavailable', undefined);
        } finally {
            sql(server, 'ALTER TABLE queue_jobs RENAME COLUMN gone TO operation');
        }
        assert.equal(await unitsOf(server, anna), before);
        assert.equal(stored(server, id).row.status, 'pending');
        await enqueued(server, anna, resize({ jobId: id }));
    });

    test('a server that stops ends the streams of jobs', async () => {
        const other = await startGenie({ env: { WORKER_CONCURRENCY_MEDIA: '0' } });
        const user = await other.addUser({ tier: 'studio' });
        const file = await uploadId(other, user, gif());
        const id = await newJob(other, user, { operation: 'resize_image', input_file_id: file });
        await enqueued(other, user, resize({ jobId: id }));
        const stream = await follow(other, user, id);
        await stream.next();
        await other.stop();
        await stream.ended();
        assert.equal(stream.events.length, 1);
    });
});
