// SPDX-License-Identifier: MIT
//
// Media jobs from upload to download, with the real programs: each operation once, what they refuse, and that the
// row, its outputs, its unit and its files agree whatever happens on the way.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { storedFiles } from '../support/form.mjs';
import { ON_POSTGRES, startGenie } from '../support/genie.mjs';
import { removeDir } from '../support/dirs.mjs';
import {
    LIMIT_MS,
    cancel,
    completed,
    download,
    ended,
    enqueue,
    enqueued,
    follow,
    gate,
    jobOf,
    newJob,
    retry,
    stored,
    unitsOf,
    uploadId,
    workDirs,
} from '../support/jobs.mjs';
import { Listener } from '../support/listener.mjs';
import { startModel } from '../support/model.mjs';
import { film, gradient, noise, picture, sizeOf } from '../support/pictures.mjs';
import { chat } from '../support/sse.mjs';
import { CONNECT, eventually, newSession, sql, stopAll } from '../support/talk.mjs';

const WHITE = [255, 255, 255, 255];

describe('media jobs', () => {
    let model, server, anna, photo, mark, clip;

    before(async () => {
        model = await startModel({ formats: ['openai'] });
        server = await startGenie({ env: { ...CONNECT.openai(model), LOG_LEVEL: 'info' } });
        anna = await server.addUser({ tier: 'studio' });
        photo = await uploadId(server, anna, gradient(300, 200), { name: 'photo.png' });
        mark = await uploadId(server, anna, picture(60, 20, WHITE), { name: 'mark.png' });
        clip = await uploadId(server, anna, film(2), { name: 'clip.mp4', type: 'video/mp4' });
    });
    after(async () => await stopAll(server, model));

    async function begin(operation, file, params = {}, user = anna) {
        const id = await newJob(server, user, { operation, input_file_id: file });
        await enqueued(server, user, { jobId: id, operation, params });
        return id;
    }

    async function fetched(job, i = 0) {
        const answer = await download(server, anna, job.result.outputs[i].file_id);
        assert.equal(answer.status, 200, answer.text.slice(0, 200));
        return answer.bytes;
    }

    const pixel = (bytes, x, y) =>
        execFileSync('convert', ['-', '-format', `%[pixel:p{${x},${y}}]`, 'info:'], { input: bytes, encoding: 'utf8' });

    test('a watermark, from the upload to the download, with its progress', async () => {
        const before = await unitsOf(server, anna);
        const id = await newJob(server, anna, { operation: 'apply_watermark', input_file_id: photo });
        const run = await enqueued(server, anna, {
            jobId: id,
            operation: 'apply_watermark',
            params: { watermark_file_id: mark, opacity: 100, margin: 0 },
        });
        const stream = await follow(server, anna, run);
        await stream.ended(LIMIT_MS);
        const progress = stream.events.map(({ json }) => json.progress);
        assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
        const job = stream.events.at(-1).json;
        assert.deepEqual([job.state, job.progress, job.error, job.id], ['completed', 100, null, id], JSON.stringify(job));
        assert.deepEqual(await jobOf(server, anna, id), job);

        const bytes = await fetched(job);
        assert.deepEqual(sizeOf(bytes), { width: 300, height: 200 });
        assert.match(pixel(bytes, 298, 198), /white|255,255,255/);
        assert.doesNotMatch(pixel(bytes, 2, 2), /white|255,255,255/);

        const { row, outputs, assets } = stored(server, id);
        assert.deepEqual([row.status, row.error_message], ['completed', null]);
        assert.deepEqual(row.result, job.result);
        assert.ok(row.started_at <= row.completed_at);
        const [output] = job.result.outputs;
        assert.deepEqual([outputs.length, outputs[0].file_id, Number(outputs[0].width)], [1, output.file_id, 300]);
        assert.deepEqual([assets.length, assets[0].id, assets[0].file_id], [1, output.asset_id, output.file_id]);
        assert.equal(await unitsOf(server, anna), before + 1);
        assert.deepEqual(workDirs(server), []);
        // the input is as it was, and the result is nobody else's
        assert.deepEqual((await download(server, anna, photo)).bytes, gradient(300, 200));
        const bert = await server.addUser();
        assert.equal((await download(server, bert, output.file_id)).status, 403);
        const again = await enqueue(server, anna, { jobId: id, operation: 'apply_watermark' });
        assert.deepEqual([again.status, again.json.code], [409, 'job_already_queued']);
    });

    describe('each operation', () => {
        const size = (width, height) => async (job) =>
            assert.deepEqual(sizeOf(await fetched(job)), { width, height });
        const filmOf = (check) => async (job) => {
            const [output] = job.result.outputs;
            assert.equal(output.kind, 'video', JSON.stringify(output));
            assert.ok(output.duration > 0 && output.width > 0, JSON.stringify(output));
            assert.equal((await fetched(job)).length, output.bytes);
            check?.(output, job);
        };
        for (const [operation, on, params, check] of [
            ['convert_image', 'photo', { format: 'webp' }, async (job) => assert.equal(job.result.outputs[0].type, 'image/webp')],
            ['resize_image', 'photo', { width: 30 }, size(30, 20)],
            ['crop_image', 'photo', { width: 50, height: 40 }, size(50, 40)],
            ['strip_metadata', 'photo', {}, size(300, 200)],
            ['apply_steganographic_watermark', 'photo', { payload: 'anna' }, size(300, 200)],
            ['resize_video', 'clip', { width: 80 }, filmOf(({ width }) => assert.equal(width, 80))],
            ['crop_video', 'clip', { width: 64, height: 48, x: 0, y: 0 }, filmOf(({ height }) => assert.equal(height, 48))],
            ['compress_video', 'clip', { max_height: 60 }, filmOf(({ height }) => assert.equal(height, 60))],
            ['trim_videos', 'clip', { clips: [{ start: 0, end: 1 }] }, filmOf(({ duration }) => assert.ok(duration < 1.6))],
            ['create_teaser', 'clip', { duration: 1, segments: 1, width: 80 }, filmOf()],
            ['apply_watermark', 'clip', { mark: true }, filmOf()],
        ])
            test(`${operation} of a ${on === 'clip' ? 'film' : 'picture'}`, async () => {
                const { mark: marked, ...rest } = params;
                const id = await begin(
                    operation,
                    on === 'clip' ? clip : photo,
                    marked ? { watermark_file_id: mark } : rest,
                );
                await check(await completed(server, anna, id));
            });

        test('join_videos', async () => {
            const id = await newJob(server, anna, { operation: 'join_videos' });
            await enqueued(server, anna, {
                jobId: id,
                operation: 'join_videos',
                params: { input_file_ids: [clip, clip] },
            });
            const job = await completed(server, anna, id);
            assert.ok(job.result.outputs[0].duration > 3, JSON.stringify(job.result));
        });
    });

    describe('what can\'t be done', () => {
        test('fails with a sentence, gives its unit back, and is told in the next run\'s log', async () => {
            const before = await unitsOf(server, anna);
            const files = storedFiles(server).length;
            const text = await uploadId(server, anna, 'no picture at all', { name: 'x.png' });
            const id = await begin('resize_image', text, { width: 10 });
            const job = await ended(server, anna, id);
            assert.equal(job.state, 'failed');
            assert.match(job.error, /pictures/);
            const { row, outputs } = stored(server, id);
            assert.deepEqual([row.status, row.error_message, outputs], ['failed', job.error, []]);
            assert.equal(await unitsOf(server, anna), before);
            const again = await retry(server, anna, id);
            assert.deepEqual([again.status, again.json.priority], [200, 5], again.text);
            const second = await ended(server, anna, id);
            assert.deepEqual([second.bullJobId, second.state], [`${id}-2`, 'failed']);
            assert.ok(second.log.some((line) => line.includes(job.error)), JSON.stringify(second.log));
            assert.equal(await unitsOf(server, anna), before);
            assert.equal(storedFiles(server).length, files + 1);
            assert.deepEqual(workDirs(server), []);
        });

        for (const [what, name, bytes] of [
            ['a playlist that names a file of the machine', 'x.mp4', '#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n'],
            ['a list for ffmpeg', 'x.mp4', "ffconcat version 1.0\nfile '/etc/passwd'\n"],
            ['a drawing that reads a file', 'x.png', "push graphic-context\nimage over 0,0 0,0 'text:/etc/passwd'\npop graphic-context\n"],
            ['a script of ImageMagick', 'x.png', '<?xml version="1.0"?><image><read filename="/etc/passwd"/></image>'],
            ['an SVG that includes a file', 'x.svg', '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'],
            ['half a picture', 'x.png', gradient(100, 100).subarray(0, 3000)],
            ['a picture of a size beyond reason', 'x.png', hugeHeader()],
            ['nothing but a film\'s beginning', 'x.mp4', Buffer.concat([Buffer.from('0000001c', 'hex'), Buffer.from('ftypisom', 'latin1'), Buffer.alloc(64)])],
        ])
            test(`${what} yields nothing of it`, async () => {
                const file = await uploadId(server, anna, bytes, { name });
                const ids = [
                    await begin('resize_image', file, { width: 10 }),
                    await begin('compress_video', file),
                    await begin('strip_metadata', file),
                ];
                for (const id of ids) {
                    const job = await ended(server, anna, id);
                    const told = JSON.stringify(job);
                    assert.doesNotMatch(told, /root:|\/etc\/passwd|genie-e2e/, told);
                    if (job.state === 'failed') assert.ok(job.error.length > 10, told);
                    for (const output of job.result?.outputs ?? [])
                        assert.doesNotMatch((await download(server, anna, output.file_id)).text, /root:/);
                }
                await server.assertWell();
            });

        test('names of files and params that look like options stay what they are', async () => {
            const file = await uploadId(server, anna, gradient(20, 20), { name: '-write|touch pwned;.png' });
            const job = await completed(server, anna, await begin('resize_image', file, { width: 10 }));
            assert.deepEqual(sizeOf(await fetched(job)), { width: 10, height: 10 });
            const payload = '$(id)`id`;@/etc/passwd %wx -set';
            const id = await begin('apply_steganographic_watermark', photo, { payload });
            const marked = (await completed(server, anna, id)).result.outputs[0].file_id;
            const read = await begin('apply_steganographic_watermark', marked, { extract: true });
            assert.ok(JSON.stringify((await completed(server, anna, read)).result).includes('$(id)`id`;@/etc/passwd'));
        });
    });

    test('a flow of the chat queues an operation as the user, by the rules of the API', async () => {
        const bert = await server.addUser({ tier: 'starter' });
        const own = await uploadId(server, bert, gradient(60, 40));
        const say = async (params, operation = 'resize_image') => {
            model.once({ text: `On it. [ACTION:media-process:${JSON.stringify({ operation, params })}]` });
            const { events } = await chat(server, bert.token, { message: 'please', sessionId: newSession() });
            return events.find(({ type }) => type === 'actionResult');
        };
        const done = await say({ input_file_id: own, width: 30 });
        assert.equal(done.success, true, JSON.stringify(done));
        const { jobId, bullJobId, queue } = done.results.job;
        assert.deepEqual([bullJobId, queue], [`${jobId}-1`, 'media-jobs']);
        const job = await completed(server, bert, jobId);
        assert.equal(job.result.outputs[0].width, 30);
        assert.equal(await unitsOf(server, bert), 1);
        for (const [params, operation, why] of [
            [{ input_file_id: photo, width: 30 }, 'resize_image', /input_file_id: There is no such file/],
            [{ input_file_id: own, width: -1 }, 'resize_image', /width/],
            [{ input_file_id: own }, 'explode', /no such operation/],
            [{ input_url: 'http://example.com/?secret' }, 'resize_image', /may not fetch/],
            [{ input_file_id: own, width: 30, priority: -1 }, 'resize_image', /priority/],
        ]) {
            const refused = await say(params, operation);
            assert.deepEqual([refused.success, refused.results], [false, {}], JSON.stringify(refused));
            assert.match(refused.error, why);
        }
        for (let i = 0; i < 4; i++) await say({ input_file_id: own, width: 20 + i });
        const refused = await say({ input_file_id: own, width: 30 });
        assert.match(refused.error, /limit of your plan|plan limit/);
        const [{ n }] = sql(server, `SELECT count(*) AS n FROM media_jobs WHERE user_id = '${bert.id}'`);
        assert.equal(Number(n), 5);
    });
});

/** A PNG that says it is 60,000 by 60,000. */
function hugeHeader() {
    const bytes = Buffer.from(gradient(8, 8));
    bytes.writeUInt32BE(60_000, 16);
    bytes.writeUInt32BE(60_000, 20);
    return bytes;
}

describe('a job in work', () => {
    let server, held, user, photo;

    async function start(env = {}) {
        held = gate('convert');
        server = await startGenie({ env: { ...held.env, LOG_LEVEL: 'info', ...env } });
        user = await server.addUser({ tier: 'studio' });
        photo = await uploadId(server, user, gradient(300, 200));
    }

    /** One that stands at the gate. */
    async function working() {
        const id = await newJob(server, user, { operation: 'resize_image', input_file_id: photo });
        await enqueued(server, user, { jobId: id, operation: 'resize_image', params: { width: 30 } });
        await held.begun();
        await eventually(async () => (await jobOf(server, user, id)).state === 'active', 'its state', LIMIT_MS);
        return id;
    }

    const test_ = (name, options, body) =>
        test(name, options, async () => {
            try {
                await body();
            } finally {
                await server.stop();
                removeDir(held.dir);
            }
        });

    test_('is cancelled: its programs end, its unit comes back, nothing is left', {}, async () => {
        await start();
        const id = await working();
        assert.equal(await unitsOf(server, user), 1);
        assert.equal(stored(server, id).row.status, 'processing');
        const stream = await follow(server, user, id);
        const answer = await cancel(server, user, id);
        assert.equal(answer.status, 200, answer.text);
        const job = await ended(server, user, id);
        assert.deepEqual([job.state, job.error], ['failed', 'cancelled']);
        await stream.ended(LIMIT_MS);
        assert.equal(stream.events.at(-1).json.error, 'cancelled');
        assert.deepEqual([stored(server, id).row.status, stored(server, id).outputs], ['failed', []]);
        assert.equal(await unitsOf(server, user), 0);
        assert.deepEqual(workDirs(server), []);
        assert.equal(storedFiles(server).length, 1);
    });

    test_('goes on with its own copy when the input is deleted; one that has not begun says so', {}, async () => {
        await start();
        const first = await working();
        const [dir] = workDirs(server);
        assert.equal(statSync(join(server.dataDir, 'tmp', dir, 'inputs', '0')).nlink, 2); // no bytes were copied
        const spare = await uploadId(server, user, gradient(40, 40));
        const second = await newJob(server, user, { operation: 'resize_image', input_file_id: spare });
        await enqueued(server, user, { jobId: second, operation: 'resize_image', params: { width: 30 } });
        for (const id of [photo, spare]) {
            const path = `/api/directus/files/${id}`;
            assert.equal((await server.request(path, { method: 'DELETE', token: user.token })).status, 204);
        }
        held.open();
        await completed(server, user, first);
        const job = await ended(server, user, second);
        assert.deepEqual([job.state, job.error], ['failed', 'A file that the job needs is no longer there']);
        assert.equal(await unitsOf(server, user), 1);
    });

    test_('goes back to the queue when its server stops, and is done after the next start', {}, async () => {
        await start();
        const id = await working();
        await server.stop({ keep: true });
        assert.equal(stored(server, id).runs[0].state, 'waiting');
        assert.equal(stored(server, id).row.status, 'queued');
        assert.deepEqual(workDirs(server), []);
        held.open();
        await server.restart();
        await completed(server, user, id);
        assert.equal(stored(server, id).outputs.length, 1);
        assert.equal(await unitsOf(server, user), 1);
    });

    test_('whose result has no room on the disk is tried again, and nothing half is kept', { skip: ON_POSTGRES && 'the limit is that of our own process' }, async () => {
        await start({ MEDIA_TMP_DIR: '/dev/shm' }); // another disk, so that results are copied
        const id = await working();
        const limit = (most) => execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${most}:`]);
        limit(4096);
        held.open();
        await server.waitForLog(({ line }) => /can't be (stored|moved)/.test(line), LIMIT_MS);
        limit('unlimited');
        const job = await ended(server, user, id);
        if (job.state === 'failed') {
            assert.match(job.error, /no room/);
            assert.equal((await retry(server, user, id)).status, 200);
        }
        await completed(server, user, id);
        assert.equal(stored(server, id).outputs.length, 1);
        assert.equal(storedFiles(server).length, 2);
        assert.equal(await unitsOf(server, user), 1);
    });

    test_('ends with others: what they store together fits', {}, async () => {
        await start({ MAX_STORAGE_MB_PER_USER: '1', WORKER_CONCURRENCY_MEDIA: '4' });
        const small = await uploadId(server, user, noise(60, 60));
        const params = { width: 360, enlarge: true };
        const ids = [];
        for (let i = 0; i < 6; i++) ids.push(await newJob(server, user, { operation: 'resize_image', input_file_id: small }));
        for (const jobId of ids) await enqueued(server, user, { jobId, operation: 'resize_image', params });
        await held.begun();
        held.open();
        const jobs = await Promise.all(ids.map((id) => ended(server, user, id)));
        const failed = jobs.filter(({ state }) => state === 'failed');
        for (const { error } of failed) assert.match(error, /room/);
        const [{ bytes }] = sql(server, 'SELECT CAST(sum(filesize) AS BIGINT) AS bytes FROM directus_files');
        assert.ok(Number(bytes) <= 1 << 20, `${bytes}`);
        assert.ok(failed.length > 0 && failed.length < ids.length, JSON.stringify(jobs));
        const kept = 2 + ids.length - failed.length;
        await eventually(() => storedFiles(server).length === kept, 'the files of the others', LIMIT_MS);
        assert.equal(await unitsOf(server, user), ids.length - failed.length);
        assert.deepEqual(workDirs(server), []);
    });

    test_('whose owner has no room for the result fails, and says so', {}, async () => {
        await start({ MAX_STORAGE_MB_PER_USER: '1' });
        const large = await uploadId(server, user, noise(400, 300));
        const id = await newJob(server, user, { operation: 'resize_image', input_file_id: large });
        const params = { width: 1200, enlarge: true };
        held.open();
        await enqueued(server, user, { jobId: id, operation: 'resize_image', params });
        const job = await ended(server, user, id);
        assert.equal(job.state, 'failed');
        assert.match(job.error, /room/);
        assert.equal(storedFiles(server).length, 2);
        assert.equal(await unitsOf(server, user), 0);
    });
});

describe('what a job takes from the web', () => {
    let site, server, user;

    before(async () => {
        const clip = film(1);
        site = new Listener((request, response) => {
            const [type, bytes] =
                { '/a.png': ['image/png', gradient(60, 40)], '/clip.mp4': ['video/mp4', clip] }[request.url] ?? [];
            response.writeHead(bytes ? 200 : 404, { 'Content-Type': type ?? 'text/plain' });
            response.end(request.method === 'HEAD' ? undefined : (bytes ?? 'nothing here'));
        });
        await site.start();
        server = await startGenie({ env: { ALLOW_PRIVATE_URLS: 'true', LOG_LEVEL: 'info' } });
        user = await server.addUser({ tier: 'studio' });
    });
    after(async () => await stopAll(server, site));

    async function begin(operation, input_url, params = {}) {
        const id = await newJob(server, user, { operation });
        await enqueued(server, user, { jobId: id, operation, input_url, params });
        return await ended(server, user, id);
    }

    test('a picture by its address', async () => {
        const job = await begin('resize_image', `${site.url}/a.png`, { width: 30 });
        assert.equal(job.result?.outputs[0].width, 30, JSON.stringify(job));
        const none = await begin('resize_image', `${site.url}/none.png`, { width: 30 });
        assert.deepEqual([none.state, /404/.test(none.error)], ['failed', true], JSON.stringify(none));
    });

    test('a video through yt-dlp, and what it says of it', async () => {
        const before = await unitsOf(server, user);
        const job = await begin('download_video', `${site.url}/clip.mp4`);
        assert.deepEqual([job.state, job.result?.outputs[0].kind], ['completed', 'video'], JSON.stringify(job));
        const info = await begin('ytdlp_info', `${site.url}/clip.mp4`);
        assert.equal(info.state, 'completed', JSON.stringify(info));
        assert.deepEqual(info.result.outputs, []);
        assert.equal(await unitsOf(server, user), before, 'both are free');
    });
});
