-- SPDX-License-Identifier: MIT
-- How far the events of each queue in Redis have been read.

CREATE TABLE queue_streams (
    queue text NOT NULL PRIMARY KEY,
    last_id text NOT NULL
);
CREATE TRIGGER genie_tell AFTER INSERT OR UPDATE OR DELETE ON queue_streams
    FOR EACH STATEMENT EXECUTE FUNCTION genie_tell();
