// SPDX-License-Identifier: MIT
//
// Enqueuing: POST /api/queue/media (token, row, rights, plan, unit and job in one durable transaction, over HTTP), against
// BullMQ's own queue.add in the process that calls it, on a Redis with the same machine and disk: one that flushes
// each write (appendfsync always), which is as durable, and one that flushes each second. In each run the ledger
// must be exact: as many jobs as answers, none twice, none without its unit.

import { DurableRedis } from '../support/redis.mjs';
import { load, serve } from '../support/processes.mjs';
import { quoted, sql } from '../../tests/support/talk.mjs';

const ROWS = 120_000;
const SHAPE = { seconds: 4, warmup: 1 };
const FILE = '00000000-0000-4000-8000-00000000000f';

function fill(server, user) {
    sql(
        server,
        `INSERT INTO directus_files (id, storage, filename_download, uploaded_by)
         VALUES ('${FILE}', 'local', 'a.png', ${quoted(user.id)})`,
    );
    sql(
        server,
        `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS - 1})
         INSERT INTO media_jobs (id, user_id, operation, input_file_id)
         SELECT printf('00000000-0000-4000-8000-0000%08d', i), ${quoted(user.id)}, 'resize_image', '${FILE}' FROM n`,
    );
}

/** Jobs, rows that say they are queued, and units: all the same number, and no fewer than were answered. */
function assertLedger(server, answers) {
    const [{ jobs, rows, units }] = sql(
        server,
        `SELECT (SELECT count(DISTINCT media_job_id) FROM queue_jobs) AS jobs,
                (SELECT count(*) FROM media_jobs WHERE status = 'queued' AND bull_job_id IS NOT NULL) AS rows,
                (SELECT coalesce(sum(count), 0) FROM user_usage_counts) AS units`,
    );
    if (jobs !== rows || jobs !== units || jobs < answers)
        throw new Error(`the ledger is wrong: ${jobs} jobs, ${rows} rows, ${units} units, ${answers} answers`);
    return jobs;
}

async function own(connections) {
    const server = await serve({ WORKER_CONCURRENCY_MEDIA: '0' }, [], { store: 'sqlite' });
    const user = await server.addUser({ tier: 'studio' });
    fill(server, user);
    const result = await load({
        ...SHAPE,
        connections,
        port: server.port,
        method: 'POST',
        path: '/api/queue/media',
        header: [`Authorization: Bearer ${user.token}`, 'Content-Type: application/json'],
        body: '{"jobId":"00000000-0000-4000-8000-0000########","operation":"resize_image","params":{"width":100}}',
    });
    const jobs = assertLedger(server, result.answers);
    await server.stop();
    return { per_second: result.per_second, p99_us: result.whole_us.p99, jobs };
}

async function bullmq(fsync, atOnce) {
    const redis = await new DurableRedis(fsync).start();
    try {
        return await redis.addJobs(atOnce, SHAPE.seconds);
    } finally {
        await redis.stop();
    }
}

export const name = 'enqueue';

export async function measure() {
    const lines = [];
    for (const connections of [64, 1]) {
        const mine = await own(connections);
        const at = connections === 1 ? 'one at a time' : `${connections} connections`;
        const told = `p99 ${mine.p99_us} µs; ${mine.jobs} jobs, each once with its row and unit`;
        for (const fsync of ['always', 'everysec']) {
            const peer = await bullmq(fsync, connections);
            lines.push({
                what: `media jobs enqueued over HTTP, ${at}`,
                unit: '/s',
                value: mine.per_second,
                peer: { name: `BullMQ queue.add in process, appendfsync ${fsync}`, value: peer.per_second },
                target: connections === 64 && fsync === 'always' ? { atLeast: 1.5 } : undefined,
                note: `${told}; BullMQ p99 ${peer.p99_us.toFixed(0)} µs, ${peer.added} jobs in its queue`,
            });
        }
        if (connections === 64)
            lines.push({
                what: 'the same: 99th percentile',
                unit: 'ms',
                value: mine.p99_us / 1000,
                target: { atMost: 20 },
            });
    }
    return lines;
}
