-- SPDX-License-Identifier: MIT
-- How far the events of each queue in Redis have been read.

CREATE TABLE queue_streams (
    queue TEXT NOT NULL PRIMARY KEY,
    last_id TEXT NOT NULL
) STRICT;
