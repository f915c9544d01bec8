-- SPDX-License-Identifier: MIT
-- What a row of a source has become here, so that it is brought in once. No foreign key to the row: one that was
-- deleted here stays deleted. new_id is NULL where the row has become something without an integer key.

CREATE TABLE import_rows (
    source_id bigint NOT NULL REFERENCES import_sources (id) ON DELETE CASCADE,
    table_name text NOT NULL,
    old_id text NOT NULL,
    new_id bigint,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (source_id, table_name, old_id)
);
CREATE TRIGGER genie_tell AFTER INSERT OR UPDATE OR DELETE ON import_rows
    FOR EACH STATEMENT EXECUTE FUNCTION genie_tell();
