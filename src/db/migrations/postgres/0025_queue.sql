-- SPDX-License-Identifier: MIT
-- Jobs that were asked to end, queues that stand still, and indexes that hold only the rows that are looked for: a
-- job's way changes as few of them as can be.

ALTER TABLE queue_jobs ADD COLUMN cancelled_at timestamptz(3); -- asked for; the job ends as failed

CREATE TABLE queue_pauses (
    queue text NOT NULL PRIMARY KEY,
    paused_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TRIGGER genie_tell AFTER INSERT OR UPDATE OR DELETE ON queue_pauses
    FOR EACH STATEMENT EXECUTE FUNCTION genie_tell();

DROP INDEX queue_jobs_next;
DROP INDEX queue_jobs_delayed;
DROP INDEX queue_jobs_lease;
DROP INDEX queue_jobs_finished;
CREATE INDEX queue_jobs_waiting ON queue_jobs (queue, priority, seq) WHERE state = 'waiting';
CREATE INDEX queue_jobs_delayed ON queue_jobs (run_at, queue) WHERE state = 'delayed';
CREATE INDEX queue_jobs_active ON queue_jobs (lease_until, queue) WHERE state = 'active';
CREATE INDEX queue_jobs_completed ON queue_jobs (queue, finished_at) WHERE state = 'completed';
CREATE INDEX queue_jobs_failed ON queue_jobs (queue, finished_at) WHERE state = 'failed';
