-- SPDX-License-Identifier: MIT
-- The whole data model, as in the migrations for SQLite, with PostgreSQL's types. Four families of tables:
--   1. Directus's own (identities, roles, files, sessions), with the columns that we use and Directus 11's names,
--      unless a Directus manages this database;
--   2. AnythingLLM's own, with the names of its Prisma schema, untouched but for invites.expires_at;
--   3. the product's collections, which belong to a user (`user_id`) unless they are shared by all;
--   4. the server's own bookkeeping.
-- Timestamps have milliseconds, since that is what clients are shown and compare with. A row of a user goes when the
-- user goes; audits stay.

-- Whose tables are there already. The table of versions is ours.
CREATE TEMPORARY TABLE genie_others ON COMMIT DROP AS
    SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'schema_version';

CREATE FUNCTION genie_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;

-- ------------------------------------------------------------------------------------------ 1. Directus

-- A Directus whose database this is keeps its tables; only the columns that it lacks are added to its users.
DO $directus$
BEGIN
IF to_regclass('directus_migrations') IS NULL THEN
    CREATE TABLE directus_roles (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        icon text NOT NULL DEFAULT 'supervised_user_circle',
        description text,
        parent uuid REFERENCES directus_roles (id) ON DELETE SET NULL
    );
    CREATE INDEX directus_roles_parent ON directus_roles (parent);

    CREATE TABLE directus_users (
        id uuid PRIMARY KEY,
        first_name text,
        last_name text,
        email text UNIQUE,
        password text,
        location text,
        title text,
        description text,
        tags json,
        avatar uuid,
        language text,
        tfa_secret text,
        status text NOT NULL DEFAULT 'active'
            CHECK (status IN ('draft', 'invited', 'unverified', 'active', 'suspended', 'archived')),
        role uuid REFERENCES directus_roles (id) ON DELETE SET NULL,
        token text UNIQUE,
        last_access timestamptz(3),
        provider text NOT NULL DEFAULT 'default',
        external_identifier text UNIQUE,
        -- ours, and added to a Directus database too
        subscription_tier text DEFAULT 'starter',
        subscription_start timestamptz(3),
        subscription_period text DEFAULT 'monthly' CHECK (subscription_period IN ('monthly', 'yearly')),
        anythingllm_user_id bigint UNIQUE
    );
    -- Two spellings of one address are one person.
    CREATE UNIQUE INDEX directus_users_email_lower ON directus_users (lower(email));
    CREATE INDEX directus_users_role ON directus_users (role);
    CREATE INDEX directus_users_avatar ON directus_users (avatar);

    CREATE TABLE directus_policies (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        icon text NOT NULL DEFAULT 'badge',
        description text,
        ip_access text, -- comma list of addresses and networks; NULL = from anywhere
        enforce_tfa boolean NOT NULL DEFAULT FALSE,
        admin_access boolean NOT NULL DEFAULT FALSE,
        app_access boolean NOT NULL DEFAULT FALSE
    );

    CREATE TABLE directus_access (
        id uuid PRIMARY KEY,
        role uuid REFERENCES directus_roles (id) ON DELETE CASCADE,
        "user" uuid REFERENCES directus_users (id) ON DELETE CASCADE,
        policy uuid NOT NULL REFERENCES directus_policies (id) ON DELETE CASCADE,
        sort integer
    );
    CREATE INDEX directus_access_role ON directus_access (role);
    CREATE INDEX directus_access_user ON directus_access ("user");
    CREATE INDEX directus_access_policy ON directus_access (policy);

    CREATE TABLE directus_sessions (
        token text PRIMARY KEY,
        "user" uuid REFERENCES directus_users (id) ON DELETE CASCADE,
        expires timestamptz(3) NOT NULL,
        ip text,
        user_agent text,
        share uuid,
        origin text,
        next_token text
    );
    CREATE INDEX directus_sessions_user ON directus_sessions ("user");
    CREATE INDEX directus_sessions_expires ON directus_sessions (expires);

    -- The row outlives its uploader until the file on disk has been removed as well.
    CREATE TABLE directus_files (
        id uuid PRIMARY KEY,
        storage text NOT NULL DEFAULT 'local',
        filename_disk text,
        filename_download text NOT NULL,
        title text,
        type text,
        uploaded_by uuid REFERENCES directus_users (id) ON DELETE SET NULL,
        created_on timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
        uploaded_on timestamptz(3),
        modified_by uuid REFERENCES directus_users (id) ON DELETE SET NULL,
        modified_on timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
        charset text,
        filesize bigint CHECK (filesize >= 0),
        width integer,
        height integer,
        duration integer,
        description text,
        location text,
        tags text,
        metadata json
    );
    CREATE INDEX directus_files_uploaded_by ON directus_files (uploaded_by, uploaded_on);
    CREATE INDEX directus_files_modified_by ON directus_files (modified_by);
    ALTER TABLE directus_users ADD FOREIGN KEY (avatar) REFERENCES directus_files (id) ON DELETE SET NULL;
ELSE
    ALTER TABLE directus_users ADD COLUMN IF NOT EXISTS subscription_tier text DEFAULT 'starter';
    ALTER TABLE directus_users ADD COLUMN IF NOT EXISTS subscription_start timestamptz(3);
    ALTER TABLE directus_users ADD COLUMN IF NOT EXISTS subscription_period text DEFAULT 'monthly'
        CHECK (subscription_period IN ('monthly', 'yearly'));
    ALTER TABLE directus_users ADD COLUMN IF NOT EXISTS anythingllm_user_id bigint UNIQUE;
END IF;
END $directus$;

-- --------------------------------------------------------------------------------------- 2. AnythingLLM

CREATE TABLE users (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    username text UNIQUE,
    password text NOT NULL,
    "pfpFilename" text,
    role text NOT NULL DEFAULT 'default',
    suspended integer NOT NULL DEFAULT 0,
    seen_recovery_codes boolean DEFAULT FALSE,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "dailyMessageLimit" integer,
    bio text DEFAULT ''
);
ALTER TABLE directus_users ADD FOREIGN KEY (anythingllm_user_id) REFERENCES users (id) ON DELETE SET NULL;

CREATE TABLE invites (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'claimed', 'disabled')),
    "claimedBy" bigint,
    "workspaceIds" text,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "createdBy" bigint NOT NULL,
    "lastUpdatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at timestamptz(3) -- ours; NULL = never
);

CREATE TABLE api_keys (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name text,
    secret text UNIQUE,
    "createdBy" bigint,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE workspaces (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    slug text NOT NULL UNIQUE,
    "vectorTag" text,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "openAiTemp" double precision,
    "openAiHistory" integer NOT NULL DEFAULT 20,
    "lastUpdatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "openAiPrompt" text,
    "similarityThreshold" double precision DEFAULT 0.25,
    "chatProvider" text,
    "chatModel" text,
    "topN" integer DEFAULT 4,
    "chatMode" text DEFAULT 'chat',
    "pfpFilename" text,
    "agentProvider" text,
    "agentModel" text,
    "queryRefusalResponse" text,
    "vectorSearchMode" text DEFAULT 'default',
    router_id bigint
);

CREATE TABLE workspace_users (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
    workspace_id bigint NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE CASCADE,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX workspace_users_user ON workspace_users (user_id, workspace_id);
CREATE INDEX workspace_users_workspace ON workspace_users (workspace_id);

CREATE TABLE workspace_threads (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    slug text NOT NULL UNIQUE,
    workspace_id bigint NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE CASCADE,
    user_id bigint REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX workspace_threads_workspace ON workspace_threads (workspace_id);
CREATE INDEX workspace_threads_user ON workspace_threads (user_id);

CREATE TABLE workspace_chats (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    "workspaceId" bigint NOT NULL,
    prompt text NOT NULL,
    response text NOT NULL,
    include boolean NOT NULL DEFAULT TRUE,
    user_id bigint REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
    thread_id bigint,
    api_session_id text,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "feedbackScore" boolean,
    "memoryProcessed" boolean DEFAULT FALSE
);
-- Histories are read newest first within one of these.
CREATE INDEX workspace_chats_thread ON workspace_chats (thread_id, id);
CREATE INDEX workspace_chats_workspace ON workspace_chats ("workspaceId", thread_id, id);
CREATE INDEX workspace_chats_user ON workspace_chats (user_id, id);

CREATE TABLE workspace_documents (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    "docId" text NOT NULL UNIQUE,
    filename text NOT NULL,
    docpath text NOT NULL,
    "workspaceId" bigint NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE CASCADE,
    metadata text,
    pinned boolean DEFAULT FALSE,
    watched boolean DEFAULT FALSE,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX workspace_documents_workspace ON workspace_documents ("workspaceId", docpath);

CREATE TABLE document_vectors (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    "docId" text NOT NULL,
    "vectorId" text NOT NULL,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX document_vectors_doc ON document_vectors ("docId");

CREATE TABLE system_settings (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    label text NOT NULL UNIQUE,
    value text,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE event_logs (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    event text NOT NULL,
    metadata text,
    "userId" bigint,
    "occurredAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX event_logs_event ON event_logs (event);

-- --------------------------------------------------------------------------------- 3. Media and platforms

CREATE TABLE creator_profiles (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    platform text NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    username text NOT NULL,
    scrape_status text NOT NULL DEFAULT 'idle' CHECK (scrape_status IN ('idle', 'scraping', 'success', 'error')),
    last_scraped_at timestamptz(3),
    is_active boolean NOT NULL DEFAULT TRUE,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX creator_profiles_user ON creator_profiles (user_id);
CREATE INDEX creator_profiles_active ON creator_profiles (is_active, last_scraped_at);

CREATE TABLE media_assets (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    file_id uuid REFERENCES directus_files (id) ON DELETE CASCADE,
    media_type text,
    title text,
    tags jsonb,
    source_job_id uuid,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX media_assets_user ON media_assets (user_id, date_created);
CREATE INDEX media_assets_file ON media_assets (file_id);
CREATE INDEX media_assets_job ON media_assets (source_job_id);

CREATE TABLE scheduled_posts (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    platform text NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    content_text text,
    scheduled_time timestamptz(3),
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'scheduled', 'publishing', 'posted', 'failed')),
    media_id uuid REFERENCES media_assets (id) ON DELETE SET NULL,
    platform_meta jsonb,
    posted_at timestamptz(3),
    error_message text,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CHECK (status <> 'scheduled' OR scheduled_time IS NOT NULL)
);
CREATE INDEX scheduled_posts_user ON scheduled_posts (user_id, status, scheduled_time);
CREATE INDEX scheduled_posts_due ON scheduled_posts (status, scheduled_time);
CREATE INDEX scheduled_posts_media ON scheduled_posts (media_id);

CREATE TABLE media_jobs (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    operation text NOT NULL,
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'queued', 'processing', 'completed', 'failed')),
    input_file_id uuid REFERENCES directus_files (id) ON DELETE SET NULL,
    input_url text,
    priority integer NOT NULL DEFAULT 10 CHECK (priority BETWEEN 0 AND 2097151),
    creator_profile_id uuid REFERENCES creator_profiles (id) ON DELETE SET NULL,
    media_id uuid REFERENCES media_assets (id) ON DELETE SET NULL,
    scheduled_post_id uuid REFERENCES scheduled_posts (id) ON DELETE SET NULL,
    bull_job_id text UNIQUE,
    params jsonb,
    progress integer NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    result jsonb,
    error_message text,
    retry_count bigint NOT NULL DEFAULT 0,
    started_at timestamptz(3),
    completed_at timestamptz(3),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX media_jobs_user ON media_jobs (user_id, status, date_created);
CREATE INDEX media_jobs_input ON media_jobs (input_file_id);
CREATE INDEX media_jobs_profile ON media_jobs (creator_profile_id);
CREATE INDEX media_jobs_media ON media_jobs (media_id);
CREATE INDEX media_jobs_post ON media_jobs (scheduled_post_id);
ALTER TABLE media_assets ADD FOREIGN KEY (source_job_id) REFERENCES media_jobs (id) ON DELETE SET NULL;

CREATE TABLE media_job_outputs (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    media_job_id uuid NOT NULL REFERENCES media_jobs (id) ON DELETE CASCADE,
    file_id uuid REFERENCES directus_files (id) ON DELETE SET NULL,
    kind text,
    bytes bigint CHECK (bytes >= 0),
    width bigint,
    height bigint,
    duration double precision, -- seconds
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX media_job_outputs_job ON media_job_outputs (media_job_id);
CREATE INDEX media_job_outputs_user ON media_job_outputs (user_id);
CREATE INDEX media_job_outputs_file ON media_job_outputs (file_id);

CREATE TABLE platform_connections (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    platform text NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    platform_username text,
    encrypted_credentials text,
    credentials_version text,
    credentials_updated_at timestamptz(3),
    status text NOT NULL DEFAULT 'active',
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
-- Storing credentials for the same account again overwrites them: one row an account.
CREATE UNIQUE INDEX platform_connections_account
    ON platform_connections (user_id, platform, coalesce(platform_username, ''));

CREATE TABLE platform_sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    platform_connection_id uuid NOT NULL UNIQUE REFERENCES platform_connections (id) ON DELETE CASCADE,
    encrypted_cookies text NOT NULL,
    expires_at timestamptz(3),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX platform_sessions_user ON platform_sessions (user_id);

CREATE TABLE hitl_action_queue (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    action text NOT NULL,
    message text NOT NULL,
    context jsonb,
    platform_connection_id uuid REFERENCES platform_connections (id) ON DELETE CASCADE,
    scheduled_post_id uuid REFERENCES scheduled_posts (id) ON DELETE CASCADE,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'resolved')),
    resolved_at timestamptz(3),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX hitl_action_queue_user ON hitl_action_queue (user_id, status);
CREATE INDEX hitl_action_queue_connection ON hitl_action_queue (platform_connection_id);
CREATE INDEX hitl_action_queue_post ON hitl_action_queue (scheduled_post_id);

-- user_id: the owner of the record; actor: who asked (a user, or the service). Neither is a foreign key, since the
-- trail outlives both.
CREATE TABLE credential_audits (
    id uuid PRIMARY KEY,
    user_id uuid,
    record_id uuid,
    actor text NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL,
    ip text,
    request_id text,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX credential_audits_user ON credential_audits (user_id, date_created);
CREATE INDEX credential_audits_record ON credential_audits (record_id, date_created);
CREATE TRIGGER credential_audits_append_only BEFORE UPDATE ON credential_audits
    FOR EACH ROW EXECUTE FUNCTION genie_append_only();

-- ------------------------------------------------------------------------------- 3. Persona, nodes, usage

CREATE TABLE user_personas (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL UNIQUE REFERENCES directus_users (id) ON DELETE CASCADE,
    onboarding_state text NOT NULL DEFAULT 'EXTENSION_INSTALL'
        CHECK (onboarding_state IN ('EXTENSION_INSTALL', 'DATA_COLLECTION', 'PROCESSING', 'COMPLETE')),
    brand_colors jsonb,
    voice text,
    summary text,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE user_nodes (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    node_type text NOT NULL,
    title text NOT NULL,
    content text NOT NULL DEFAULT '',
    tags jsonb NOT NULL DEFAULT '[]',
    weight double precision NOT NULL DEFAULT 1.0 CHECK (weight BETWEEN 0 AND 1),
    decay_rate double precision NOT NULL DEFAULT 0.05 CHECK (decay_rate BETWEEN 0 AND 1),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'decayed')),
    last_reinforced_at timestamptz(3),
    last_decayed_at timestamptz(3),
    embedding bytea, -- a fingerprint (8 bytes), then 32-bit little-endian floats
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (user_id, id)
);

-- The two-column keys make an edge between two users' nodes impossible.
CREATE TABLE user_node_edges (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    source uuid NOT NULL,
    target uuid NOT NULL,
    weight double precision NOT NULL DEFAULT 0.5 CHECK (weight BETWEEN 0 AND 1),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (user_id, source, target),
    FOREIGN KEY (user_id, source) REFERENCES user_nodes (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, target) REFERENCES user_nodes (user_id, id) ON DELETE CASCADE,
    CHECK (source <> target)
);
CREATE INDEX user_node_edges_target ON user_node_edges (user_id, target);

CREATE TABLE user_usage_counts (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    feature_key text NOT NULL,
    billing_cycle_start timestamptz(3) NOT NULL,
    count bigint NOT NULL DEFAULT 0 CHECK (count >= 0),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (user_id, feature_key, billing_cycle_start)
);
CREATE INDEX user_usage_counts_cycle ON user_usage_counts (billing_cycle_start);

-- -------------------------------------------------------------------------- 3. Flows, skills, taxonomy (shared)

CREATE TABLE action_flows (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    name text NOT NULL,
    description text,
    active boolean NOT NULL DEFAULT TRUE,
    allow_side_effects boolean NOT NULL DEFAULT FALSE,
    steps jsonb NOT NULL DEFAULT '[]',
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE agent_audits (
    id uuid PRIMARY KEY,
    user_id uuid, -- no foreign key: the trail outlives the user
    slug text NOT NULL,
    status text NOT NULL CHECK (status IN ('success', 'error', 'miss')),
    steps jsonb NOT NULL DEFAULT '[]',
    ms bigint,
    error text,
    input_hash text,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX agent_audits_user ON agent_audits (user_id, date_created);
CREATE INDEX agent_audits_slug ON agent_audits (slug, date_created);
CREATE TRIGGER agent_audits_append_only BEFORE UPDATE ON agent_audits
    FOR EACH ROW EXECUTE FUNCTION genie_append_only();

CREATE TABLE agent_skills (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    category text NOT NULL,
    description text NOT NULL DEFAULT '',
    tags jsonb NOT NULL DEFAULT '[]',
    content text NOT NULL DEFAULT '',
    activation_score double precision NOT NULL DEFAULT 0,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX agent_skills_category ON agent_skills (category, name);
CREATE INDEX agent_skills_updated ON agent_skills (date_updated);

-- The relations that skill files state; edges by category and tag are worked out from agent_skills in memory.
CREATE TABLE skill_edges (
    id uuid PRIMARY KEY,
    source uuid NOT NULL REFERENCES agent_skills (id) ON DELETE CASCADE,
    target uuid NOT NULL REFERENCES agent_skills (id) ON DELETE CASCADE,
    relation text NOT NULL DEFAULT 'related',
    weight double precision NOT NULL DEFAULT 0.5 CHECK (weight BETWEEN 0 AND 1),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (source, target, relation),
    CHECK (source <> target)
);
CREATE INDEX skill_edges_target ON skill_edges (target);

CREATE TABLE taxonomy_dimensions (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    description text,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE taxonomy_nodes (
    id uuid PRIMARY KEY,
    type text NOT NULL CHECK (type IN ('super_concept', 'category', 'tag', 'site')),
    name text NOT NULL,
    description text,
    dimension_id uuid REFERENCES taxonomy_dimensions (id) ON DELETE SET NULL,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (type, name)
);
CREATE INDEX taxonomy_nodes_name ON taxonomy_nodes (name);
CREATE INDEX taxonomy_nodes_dimension ON taxonomy_nodes (dimension_id);

CREATE TABLE taxonomy_edges (
    id uuid PRIMARY KEY,
    type text NOT NULL CHECK (type IN ('HAS_TAG', 'HAS_CATEGORY', 'USES_TAG', 'CO_OCCURS', 'MAPS_TO_CONCEPT')),
    source uuid NOT NULL REFERENCES taxonomy_nodes (id) ON DELETE CASCADE,
    target uuid NOT NULL REFERENCES taxonomy_nodes (id) ON DELETE CASCADE,
    weight double precision NOT NULL DEFAULT 1.0 CHECK (weight >= 0),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (source, type, target)
);
CREATE INDEX taxonomy_edges_target ON taxonomy_edges (target, type);

-- Another spelling or a platform's own word for a node.
CREATE TABLE taxonomy_mapping (
    id uuid PRIMARY KEY,
    term text NOT NULL,
    node_id uuid NOT NULL REFERENCES taxonomy_nodes (id) ON DELETE CASCADE,
    weight double precision NOT NULL DEFAULT 1.0 CHECK (weight >= 0),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (term, node_id)
);
CREATE INDEX taxonomy_mapping_node ON taxonomy_mapping (node_id);

-- ------------------------------------------------------------------------------------------------ 3. Fans

CREATE TABLE fan_profiles (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    display_name text,
    username text,
    platform text NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'churned', 'win-back', 'trial')),
    subscribed_at timestamptz(3),
    last_seen_at timestamptz(3),
    total_spend double precision NOT NULL DEFAULT 0,
    currency text NOT NULL DEFAULT 'USD',
    tags jsonb NOT NULL DEFAULT '[]',
    -- from here on: tiers pro and studio
    message_count bigint NOT NULL DEFAULT 0,
    purchase_count bigint NOT NULL DEFAULT 0,
    tip_total double precision NOT NULL DEFAULT 0,
    ppv_total double precision NOT NULL DEFAULT 0,
    avg_order_value double precision,
    sentiment text,
    churn_risk double precision,
    lifetime_days bigint,
    notes text,
    preferences jsonb,
    custom jsonb,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (user_id, id)
);
CREATE INDEX fan_profiles_seen ON fan_profiles (user_id, last_seen_at);
CREATE INDEX fan_profiles_spend ON fan_profiles (user_id, total_spend);

CREATE TABLE fan_platform_accounts (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    fan_profile_id uuid NOT NULL,
    platform text NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    platform_fan_id text NOT NULL,
    username text,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (user_id, platform, platform_fan_id),
    FOREIGN KEY (user_id, fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE
);
CREATE INDEX fan_platform_accounts_fan ON fan_platform_accounts (user_id, fan_profile_id);

CREATE TABLE fan_subscriptions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    fan_profile_id uuid NOT NULL,
    platform text NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    plan text,
    status text NOT NULL DEFAULT 'active',
    price double precision,
    currency text,
    started_at timestamptz(3),
    expires_at timestamptz(3),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (user_id, fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE
);
CREATE INDEX fan_subscriptions_fan ON fan_subscriptions (user_id, fan_profile_id);

CREATE TABLE fan_subscription_events (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    fan_profile_id uuid NOT NULL,
    subscription_id uuid, -- no foreign key: the event outlives its subscription
    event_type text NOT NULL,
    amount double precision,
    currency text,
    occurred_at timestamptz(3) NOT NULL,
    metadata jsonb,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (user_id, fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE
);
CREATE INDEX fan_subscription_events_fan ON fan_subscription_events (user_id, fan_profile_id, occurred_at);
CREATE TRIGGER fan_subscription_events_append_only BEFORE UPDATE ON fan_subscription_events
    FOR EACH ROW EXECUTE FUNCTION genie_append_only();

-- Two profiles that are one person.
CREATE TABLE fan_identity_links (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    fan_profile_id uuid NOT NULL,
    linked_fan_profile_id uuid NOT NULL,
    confidence double precision NOT NULL DEFAULT 1.0 CHECK (confidence BETWEEN 0 AND 1),
    reason text,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (user_id, fan_profile_id, linked_fan_profile_id),
    FOREIGN KEY (user_id, fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, linked_fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE,
    CHECK (fan_profile_id <> linked_fan_profile_id)
);
CREATE INDEX fan_identity_links_linked ON fan_identity_links (user_id, linked_fan_profile_id);

CREATE TABLE fan_memories (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    fan_profile_id uuid NOT NULL,
    memory_type text,
    content text NOT NULL,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (user_id, fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE
);
CREATE INDEX fan_memories_fan ON fan_memories (user_id, fan_profile_id);

CREATE TABLE system_config (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    value text,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- --------------------------------------------------------------------------------- 4. The server's own

-- A client's session id is a thread of that user; another user's identical id is another thread.
CREATE TABLE session_threads (
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    session_id text NOT NULL,
    thread_id bigint NOT NULL REFERENCES workspace_threads (id) ON DELETE CASCADE,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (user_id, session_id)
);
CREATE INDEX session_threads_thread ON session_threads (thread_id);

-- Makes storing an answer idempotent without a column of ours in AnythingLLM's table.
CREATE TABLE chat_answers (
    answer_uuid text PRIMARY KEY,
    chat_id bigint NOT NULL REFERENCES workspace_chats (id) ON DELETE CASCADE
);
CREATE INDEX chat_answers_chat ON chat_answers (chat_id);

-- seq is the order of arrival among equals; id is the public one, <media_jobs id>-<run>.
CREATE TABLE queue_jobs (
    seq bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    queue text NOT NULL CHECK (queue IN ('media-jobs', 'scrape-jobs', 'onboarding-jobs')),
    operation text NOT NULL,
    user_id uuid REFERENCES directus_users (id) ON DELETE CASCADE,
    media_job_id uuid REFERENCES media_jobs (id) ON DELETE SET NULL,
    data jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'prioritized', 'delayed', 'active', 'completed', 'failed')),
    priority integer NOT NULL DEFAULT 10 CHECK (priority BETWEEN 0 AND 2097151),
    progress integer NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 3,
    stalled_count integer NOT NULL DEFAULT 0,
    run_at timestamptz(3),      -- of a delayed job
    lease_owner text, -- of an active one
    lease_until timestamptz(3),
    result jsonb,
    error text,
    created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    started_at timestamptz(3),
    finished_at timestamptz(3)
);
CREATE INDEX queue_jobs_next ON queue_jobs (queue, state, priority, seq);
CREATE INDEX queue_jobs_delayed ON queue_jobs (state, run_at);
CREATE INDEX queue_jobs_lease ON queue_jobs (state, lease_until);
CREATE INDEX queue_jobs_finished ON queue_jobs (queue, state, finished_at);
CREATE INDEX queue_jobs_user ON queue_jobs (user_id, seq);
CREATE INDEX queue_jobs_media_job ON queue_jobs (media_job_id);

CREATE TABLE queue_job_logs (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL REFERENCES queue_jobs (id) ON DELETE CASCADE,
    line text NOT NULL,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX queue_job_logs_job ON queue_job_logs (job_id, id);

-- What must still be carried to Redis; written in the transaction that promised it.
CREATE TABLE queue_outbox (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL UNIQUE,
    queue text NOT NULL,
    operation text NOT NULL,
    data jsonb NOT NULL,
    priority integer NOT NULL DEFAULT 10,
    relayed_at timestamptz(3),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX queue_outbox_relayed ON queue_outbox (relayed_at, id);

-- A unit taken for a job, so that it is given back once and only once when the job fails for good.
CREATE TABLE quota_reservations (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    job_id text NOT NULL UNIQUE,
    feature_key text NOT NULL,
    billing_cycle_start timestamptz(3) NOT NULL,
    amount integer NOT NULL DEFAULT 1 CHECK (amount > 0),
    status text NOT NULL DEFAULT 'held' CHECK (status IN ('held', 'kept', 'returned')),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX quota_reservations_user ON quota_reservations (user_id, status);

CREATE TABLE impersonations (
    id text PRIMARY KEY, -- the token's jti
    impersonator_id uuid NOT NULL, -- no foreign keys: the trail outlives both
    user_id uuid NOT NULL,
    reason text,
    ip text,
    request_id text,
    expires_at timestamptz(3) NOT NULL,
    ended_at timestamptz(3),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX impersonations_impersonator ON impersonations (impersonator_id, date_created);
CREATE INDEX impersonations_user ON impersonations (user_id, date_created);

-- scope: a user's id, or a client address where there is no user yet.
CREATE TABLE idempotency_keys (
    scope text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    body_hash text NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done')),
    response_status integer,
    response_body text,
    expires_at timestamptz(3) NOT NULL,
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (scope, route, key)
);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);

CREATE TABLE rate_limits (
    bucket text PRIMARY KEY, -- route and client address
    window_start timestamptz(3) NOT NULL,
    count bigint NOT NULL DEFAULT 0
);
CREATE INDEX rate_limits_window ON rate_limits (window_start);

CREATE TABLE revoked_tokens (
    jti text PRIMARY KEY,
    user_id uuid,
    expires_at timestamptz(3) NOT NULL, -- when the token would have died by itself, and this row may go
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX revoked_tokens_expires ON revoked_tokens (expires_at);

CREATE TABLE goose_runs (
    id uuid PRIMARY KEY,
    user_id uuid, -- no foreign key: the trail outlives the admin
    instructions text NOT NULL,
    recipe text,
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
    exit_code integer,
    output text,
    error_message text,
    started_at timestamptz(3),
    finished_at timestamptz(3),
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX goose_runs_created ON goose_runs (date_created);

-- Who of several processes does a periodic duty, and when it was last done (a missed run is made up once).
CREATE TABLE leader_leases (
    name text PRIMARY KEY,
    holder text,
    expires_at timestamptz(3),
    last_run_at timestamptz(3)
);

-- Who writes here without being one of our processes (Directus, psql) tells them by these triggers; ours do so after
-- each commit, and say that they will by a setting of their sessions. Identities are kept for seconds only, so
-- Directus's own tables need none.
CREATE FUNCTION genie_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('genie.told', true), '') = '' THEN
        NOTIFY genie_changes;
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema()
                AND tablename NOT LIKE 'directus\_%' AND tablename NOT IN (SELECT tablename FROM genie_others)
    LOOP
        EXECUTE format('CREATE TRIGGER genie_tell AFTER INSERT OR UPDATE OR DELETE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION genie_tell()', name);
    END LOOP;
END $$;
