-- SPDX-License-Identifier: MIT
-- What a row of a source has become here, so that it is brought in once. No foreign key to the row: one that was
-- deleted here stays deleted. new_id is NULL where the row has become something without an integer key.

CREATE TABLE import_rows (
    source_id INTEGER NOT NULL REFERENCES import_sources (id) ON DELETE CASCADE,
    table_name TEXT NOT NULL,
    old_id TEXT NOT NULL,
    new_id INTEGER,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (source_id, table_name, old_id)
) STRICT, WITHOUT ROWID;
