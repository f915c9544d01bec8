-- SPDX-License-Identifier: MIT
-- Runs whose enqueuing could not be confirmed to who asked for it: asked again, he hears of the same run.

ALTER TABLE queue_jobs ADD COLUMN unconfirmed INTEGER NOT NULL DEFAULT 0 CHECK (unconfirmed IN (0, 1));
