-- SPDX-License-Identifier: MIT
-- What has been registered with the Directus that manages this database (PostgreSQL only; here always empty, so that both
-- engines have one schema). See src/directus/registration.c.

CREATE TABLE genie_registrations (
    name TEXT NOT NULL PRIMARY KEY,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT, WITHOUT ROWID;
