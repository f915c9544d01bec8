-- SPDX-License-Identifier: MIT
-- What has been registered with the Directus that manages this database. A row here is registered once and never
-- again, so what an administrator changes or removes in Directus stays as the administrator left it.

CREATE TABLE genie_registrations (
    name text PRIMARY KEY,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TRIGGER genie_tell AFTER INSERT OR UPDATE OR DELETE ON genie_registrations
    FOR EACH STATEMENT EXECUTE FUNCTION genie_tell();
