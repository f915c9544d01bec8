-- SPDX-License-Identifier: MIT
-- Who runs a run of Goose, and until when it counts as alive without a word from that server.

ALTER TABLE goose_runs ADD COLUMN server uuid;
ALTER TABLE goose_runs ADD COLUMN lease_until timestamptz(3);
ALTER TABLE goose_runs ADD COLUMN timeout_s integer;
ALTER TABLE goose_runs ADD COLUMN output_bytes bigint NOT NULL DEFAULT 0; -- printed in all; output keeps less
ALTER TABLE goose_runs ADD COLUMN cancelled_by uuid;
CREATE INDEX goose_runs_alive ON goose_runs (status, lease_until);
