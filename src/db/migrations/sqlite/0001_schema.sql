-- SPDX-License-Identifier: MIT
-- The whole data model. Four families of tables:
--   1. Directus's own (identities, roles, files, sessions), with the columns that we use and Directus 11's names;
--   2. AnythingLLM's own, with the names and types of its Prisma schema, untouched but for invites.expires_at;
--   3. the product's collections, which belong to a user (`user_id`) unless they are shared by all;
--   4. the server's own bookkeeping.
-- Ids are UUID text, timestamps ISO 8601 text with milliseconds and Z (so text order is time order), booleans 0/1,
-- JSON is text. A row of a user goes when the user goes; audits stay.

-- ------------------------------------------------------------------------------------------ 1. Directus

CREATE TABLE directus_roles (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    icon TEXT NOT NULL DEFAULT 'supervised_user_circle',
    description TEXT,
    parent TEXT REFERENCES directus_roles (id) ON DELETE SET NULL
) STRICT;
CREATE INDEX directus_roles_parent ON directus_roles (parent);

CREATE TABLE directus_users (
    id TEXT NOT NULL PRIMARY KEY,
    first_name TEXT,
    last_name TEXT,
    email TEXT UNIQUE,
    password TEXT,
    location TEXT,
    title TEXT,
    description TEXT,
    tags TEXT,
    avatar TEXT REFERENCES directus_files (id) ON DELETE SET NULL,
    language TEXT,
    tfa_secret TEXT,
    status TEXT NOT NULL DEFAULT 'active'
        CHECK (status IN ('draft', 'invited', 'unverified', 'active', 'suspended', 'archived')),
    role TEXT REFERENCES directus_roles (id) ON DELETE SET NULL,
    token TEXT UNIQUE,
    last_access TEXT,
    provider TEXT NOT NULL DEFAULT 'default',
    external_identifier TEXT UNIQUE,
    -- ours, and added to a Directus database too
    subscription_tier TEXT DEFAULT 'starter',
    subscription_start TEXT,
    subscription_period TEXT DEFAULT 'monthly' CHECK (subscription_period IN ('monthly', 'yearly')),
    anythingllm_user_id INTEGER UNIQUE REFERENCES users (id) ON DELETE SET NULL
) STRICT;
-- Two spellings of one address are one person.
CREATE UNIQUE INDEX directus_users_email_lower ON directus_users (lower(email));
CREATE INDEX directus_users_role ON directus_users (role);
CREATE INDEX directus_users_avatar ON directus_users (avatar);

CREATE TABLE directus_policies (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    icon TEXT NOT NULL DEFAULT 'badge',
    description TEXT,
    ip_access TEXT, -- comma list of addresses and networks; NULL = from anywhere
    enforce_tfa INTEGER NOT NULL DEFAULT 0 CHECK (enforce_tfa IN (0, 1)),
    admin_access INTEGER NOT NULL DEFAULT 0 CHECK (admin_access IN (0, 1)),
    app_access INTEGER NOT NULL DEFAULT 0 CHECK (app_access IN (0, 1))
) STRICT;

CREATE TABLE directus_access (
    id TEXT NOT NULL PRIMARY KEY,
    role TEXT REFERENCES directus_roles (id) ON DELETE CASCADE,
    "user" TEXT REFERENCES directus_users (id) ON DELETE CASCADE,
    policy TEXT NOT NULL REFERENCES directus_policies (id) ON DELETE CASCADE,
    sort INTEGER
) STRICT;
CREATE INDEX directus_access_role ON directus_access (role);
CREATE INDEX directus_access_user ON directus_access ("user");
CREATE INDEX directus_access_policy ON directus_access (policy);

CREATE TABLE directus_sessions (
    token TEXT NOT NULL PRIMARY KEY,
    "user" TEXT REFERENCES directus_users (id) ON DELETE CASCADE,
    expires TEXT NOT NULL,
    ip TEXT,
    user_agent TEXT,
    share TEXT,
    origin TEXT,
    next_token TEXT
) STRICT;
CREATE INDEX directus_sessions_user ON directus_sessions ("user");
CREATE INDEX directus_sessions_expires ON directus_sessions (expires);

-- The row outlives its uploader until the file on disk has been removed as well.
CREATE TABLE directus_files (
    id TEXT NOT NULL PRIMARY KEY,
    storage TEXT NOT NULL DEFAULT 'local',
    filename_disk TEXT,
    filename_download TEXT NOT NULL,
    title TEXT,
    type TEXT,
    uploaded_by TEXT REFERENCES directus_users (id) ON DELETE SET NULL,
    created_on TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    uploaded_on TEXT,
    modified_by TEXT REFERENCES directus_users (id) ON DELETE SET NULL,
    modified_on TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    charset TEXT,
    filesize INTEGER CHECK (filesize >= 0),
    width INTEGER,
    height INTEGER,
    duration INTEGER,
    description TEXT,
    location TEXT,
    tags TEXT,
    metadata TEXT
) STRICT;
CREATE INDEX directus_files_uploaded_by ON directus_files (uploaded_by, uploaded_on);
CREATE INDEX directus_files_modified_by ON directus_files (modified_by);

-- --------------------------------------------------------------------------------------- 2. AnythingLLM

CREATE TABLE users (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    username TEXT UNIQUE,
    password TEXT NOT NULL,
    pfpFilename TEXT,
    role TEXT NOT NULL DEFAULT 'default',
    suspended INTEGER NOT NULL DEFAULT 0,
    seen_recovery_codes BOOLEAN DEFAULT 0,
    createdAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    lastUpdatedAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    dailyMessageLimit INTEGER,
    bio TEXT DEFAULT ''
);

CREATE TABLE invites (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    code TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'claimed', 'disabled')),
    claimedBy INTEGER,
    workspaceIds TEXT,
    createdAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    createdBy INTEGER NOT NULL,
    lastUpdatedAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    expires_at TEXT -- ours; NULL = never
);

CREATE TABLE api_keys (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT,
    secret TEXT UNIQUE,
    createdBy INTEGER,
    createdAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    lastUpdatedAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE workspaces (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    vectorTag TEXT,
    createdAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    openAiTemp REAL,
    openAiHistory INTEGER NOT NULL DEFAULT 20,
    lastUpdatedAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    openAiPrompt TEXT,
    similarityThreshold REAL DEFAULT 0.25,
    chatProvider TEXT,
    chatModel TEXT,
    topN INTEGER DEFAULT 4,
    chatMode TEXT DEFAULT 'chat',
    pfpFilename TEXT,
    agentProvider TEXT,
    agentModel TEXT,
    queryRefusalResponse TEXT,
    vectorSearchMode TEXT DEFAULT 'default',
    router_id INTEGER
);

CREATE TABLE workspace_users (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE CASCADE,
    createdAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    lastUpdatedAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX workspace_users_user ON workspace_users (user_id, workspace_id);
CREATE INDEX workspace_users_workspace ON workspace_users (workspace_id);

CREATE TABLE workspace_threads (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    workspace_id INTEGER NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE CASCADE,
    user_id INTEGER REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
    createdAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    lastUpdatedAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX workspace_threads_workspace ON workspace_threads (workspace_id);
CREATE INDEX workspace_threads_user ON workspace_threads (user_id);

CREATE TABLE workspace_chats (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    workspaceId INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    response TEXT NOT NULL,
    include BOOLEAN NOT NULL DEFAULT 1,
    user_id INTEGER REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
    thread_id INTEGER,
    api_session_id TEXT,
    createdAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    lastUpdatedAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    feedbackScore BOOLEAN,
    memoryProcessed BOOLEAN DEFAULT 0
);
-- Histories are read newest first within one of these.
CREATE INDEX workspace_chats_thread ON workspace_chats (thread_id, id);
CREATE INDEX workspace_chats_workspace ON workspace_chats (workspaceId, thread_id, id);
CREATE INDEX workspace_chats_user ON workspace_chats (user_id, id);

CREATE TABLE workspace_documents (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    docId TEXT NOT NULL UNIQUE,
    filename TEXT NOT NULL,
    docpath TEXT NOT NULL,
    workspaceId INTEGER NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE CASCADE,
    metadata TEXT,
    pinned BOOLEAN DEFAULT 0,
    watched BOOLEAN DEFAULT 0,
    createdAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    lastUpdatedAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX workspace_documents_workspace ON workspace_documents (workspaceId, docpath);

CREATE TABLE document_vectors (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    docId TEXT NOT NULL,
    vectorId TEXT NOT NULL,
    createdAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    lastUpdatedAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX document_vectors_doc ON document_vectors (docId);

CREATE TABLE system_settings (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    label TEXT NOT NULL UNIQUE,
    value TEXT,
    createdAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    lastUpdatedAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE event_logs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    metadata TEXT,
    userId INTEGER,
    occurredAt DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX event_logs_event ON event_logs (event);

-- --------------------------------------------------------------------------------- 3. Media and platforms

CREATE TABLE creator_profiles (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    platform TEXT NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    username TEXT NOT NULL,
    scrape_status TEXT NOT NULL DEFAULT 'idle' CHECK (scrape_status IN ('idle', 'scraping', 'success', 'error')),
    last_scraped_at TEXT,
    is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX creator_profiles_user ON creator_profiles (user_id);
CREATE INDEX creator_profiles_active ON creator_profiles (is_active, last_scraped_at);

CREATE TABLE media_assets (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    file_id TEXT REFERENCES directus_files (id) ON DELETE CASCADE,
    media_type TEXT,
    title TEXT,
    tags TEXT,
    source_job_id TEXT REFERENCES media_jobs (id) ON DELETE SET NULL,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX media_assets_user ON media_assets (user_id, date_created);
CREATE INDEX media_assets_file ON media_assets (file_id);
CREATE INDEX media_assets_job ON media_assets (source_job_id);

CREATE TABLE scheduled_posts (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    platform TEXT NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    content_text TEXT,
    scheduled_time TEXT,
    status TEXT NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'scheduled', 'publishing', 'posted', 'failed')),
    media_id TEXT REFERENCES media_assets (id) ON DELETE SET NULL,
    platform_meta TEXT,
    posted_at TEXT,
    error_message TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (status <> 'scheduled' OR scheduled_time IS NOT NULL)
) STRICT;
CREATE INDEX scheduled_posts_user ON scheduled_posts (user_id, status, scheduled_time);
CREATE INDEX scheduled_posts_due ON scheduled_posts (status, scheduled_time);
CREATE INDEX scheduled_posts_media ON scheduled_posts (media_id);

CREATE TABLE media_jobs (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    operation TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'queued', 'processing', 'completed', 'failed')),
    input_file_id TEXT REFERENCES directus_files (id) ON DELETE SET NULL,
    input_url TEXT,
    priority INTEGER NOT NULL DEFAULT 10 CHECK (priority BETWEEN 0 AND 2097151),
    creator_profile_id TEXT REFERENCES creator_profiles (id) ON DELETE SET NULL,
    media_id TEXT REFERENCES media_assets (id) ON DELETE SET NULL,
    scheduled_post_id TEXT REFERENCES scheduled_posts (id) ON DELETE SET NULL,
    bull_job_id TEXT UNIQUE,
    params TEXT,
    progress INTEGER NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    result TEXT,
    error_message TEXT,
    retry_count INTEGER NOT NULL DEFAULT 0,
    started_at TEXT,
    completed_at TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX media_jobs_user ON media_jobs (user_id, status, date_created);
CREATE INDEX media_jobs_input ON media_jobs (input_file_id);
CREATE INDEX media_jobs_profile ON media_jobs (creator_profile_id);
CREATE INDEX media_jobs_media ON media_jobs (media_id);
CREATE INDEX media_jobs_post ON media_jobs (scheduled_post_id);

CREATE TABLE media_job_outputs (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    media_job_id TEXT NOT NULL REFERENCES media_jobs (id) ON DELETE CASCADE,
    file_id TEXT REFERENCES directus_files (id) ON DELETE SET NULL,
    kind TEXT,
    bytes INTEGER CHECK (bytes >= 0),
    width INTEGER,
    height INTEGER,
    duration REAL, -- seconds
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX media_job_outputs_job ON media_job_outputs (media_job_id);
CREATE INDEX media_job_outputs_user ON media_job_outputs (user_id);
CREATE INDEX media_job_outputs_file ON media_job_outputs (file_id);

CREATE TABLE platform_connections (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    platform TEXT NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    platform_username TEXT,
    encrypted_credentials TEXT,
    credentials_version TEXT,
    credentials_updated_at TEXT,
    status TEXT NOT NULL DEFAULT 'active',
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
-- Storing credentials for the same account again overwrites them: one row an account.
CREATE UNIQUE INDEX platform_connections_account
    ON platform_connections (user_id, platform, coalesce(platform_username, ''));

CREATE TABLE platform_sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    platform_connection_id TEXT NOT NULL UNIQUE REFERENCES platform_connections (id) ON DELETE CASCADE,
    encrypted_cookies TEXT NOT NULL,
    expires_at TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX platform_sessions_user ON platform_sessions (user_id);

CREATE TABLE hitl_action_queue (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    action TEXT NOT NULL,
    message TEXT NOT NULL,
    context TEXT,
    platform_connection_id TEXT REFERENCES platform_connections (id) ON DELETE CASCADE,
    scheduled_post_id TEXT REFERENCES scheduled_posts (id) ON DELETE CASCADE,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'resolved')),
    resolved_at TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX hitl_action_queue_user ON hitl_action_queue (user_id, status);
CREATE INDEX hitl_action_queue_connection ON hitl_action_queue (platform_connection_id);
CREATE INDEX hitl_action_queue_post ON hitl_action_queue (scheduled_post_id);

-- user_id: the owner of the record; actor: who asked (a user, or the service). Neither is a foreign key, since the
-- trail outlives both.
CREATE TABLE credential_audits (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT,
    record_id TEXT,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    ip TEXT,
    request_id TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX credential_audits_user ON credential_audits (user_id, date_created);
CREATE INDEX credential_audits_record ON credential_audits (record_id, date_created);
CREATE TRIGGER credential_audits_append_only BEFORE UPDATE ON credential_audits
BEGIN
    SELECT raise(ABORT, 'credential_audits is append only');
END;

-- ------------------------------------------------------------------------------- 3. Persona, nodes, usage

CREATE TABLE user_personas (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL UNIQUE REFERENCES directus_users (id) ON DELETE CASCADE,
    onboarding_state TEXT NOT NULL DEFAULT 'EXTENSION_INSTALL'
        CHECK (onboarding_state IN ('EXTENSION_INSTALL', 'DATA_COLLECTION', 'PROCESSING', 'COMPLETE')),
    brand_colors TEXT,
    voice TEXT,
    summary TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE user_nodes (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    node_type TEXT NOT NULL,
    title TEXT NOT NULL,
    content TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '[]',
    weight REAL NOT NULL DEFAULT 1.0 CHECK (weight BETWEEN 0 AND 1),
    decay_rate REAL NOT NULL DEFAULT 0.05 CHECK (decay_rate BETWEEN 0 AND 1),
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'decayed')),
    last_reinforced_at TEXT,
    last_decayed_at TEXT,
    embedding BLOB, -- a fingerprint (8 bytes), then 32-bit little-endian floats
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (user_id, id)
) STRICT;

-- The two-column keys make an edge between two users' nodes impossible.
CREATE TABLE user_node_edges (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    weight REAL NOT NULL DEFAULT 0.5 CHECK (weight BETWEEN 0 AND 1),
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (user_id, source, target),
    FOREIGN KEY (user_id, source) REFERENCES user_nodes (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, target) REFERENCES user_nodes (user_id, id) ON DELETE CASCADE,
    CHECK (source <> target)
) STRICT;
CREATE INDEX user_node_edges_target ON user_node_edges (user_id, target);

CREATE TABLE user_usage_counts (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    feature_key TEXT NOT NULL,
    billing_cycle_start TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 0 CHECK (count >= 0),
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (user_id, feature_key, billing_cycle_start)
) STRICT;
CREATE INDEX user_usage_counts_cycle ON user_usage_counts (billing_cycle_start);

-- -------------------------------------------------------------------------- 3. Flows, skills, taxonomy (shared)

CREATE TABLE action_flows (
    id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    description TEXT,
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    allow_side_effects INTEGER NOT NULL DEFAULT 0 CHECK (allow_side_effects IN (0, 1)),
    steps TEXT NOT NULL DEFAULT '[]',
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE agent_audits (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT, -- no foreign key: the trail outlives the user
    slug TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('success', 'error', 'miss')),
    steps TEXT NOT NULL DEFAULT '[]',
    ms INTEGER,
    error TEXT,
    input_hash TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX agent_audits_user ON agent_audits (user_id, date_created);
CREATE INDEX agent_audits_slug ON agent_audits (slug, date_created);
CREATE TRIGGER agent_audits_append_only BEFORE UPDATE ON agent_audits
BEGIN
    SELECT raise(ABORT, 'agent_audits is append only');
END;

CREATE TABLE agent_skills (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    category TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '[]',
    content TEXT NOT NULL DEFAULT '',
    activation_score REAL NOT NULL DEFAULT 0,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX agent_skills_category ON agent_skills (category, name);
CREATE INDEX agent_skills_updated ON agent_skills (date_updated);

-- The relations that skill files state; edges by category and tag are worked out from agent_skills in memory.
CREATE TABLE skill_edges (
    id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL REFERENCES agent_skills (id) ON DELETE CASCADE,
    target TEXT NOT NULL REFERENCES agent_skills (id) ON DELETE CASCADE,
    relation TEXT NOT NULL DEFAULT 'related',
    weight REAL NOT NULL DEFAULT 0.5 CHECK (weight BETWEEN 0 AND 1),
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (source, target, relation),
    CHECK (source <> target)
) STRICT;
CREATE INDEX skill_edges_target ON skill_edges (target);

CREATE TABLE taxonomy_dimensions (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE taxonomy_nodes (
    id TEXT NOT NULL PRIMARY KEY,
    type TEXT NOT NULL CHECK (type IN ('super_concept', 'category', 'tag', 'site')),
    name TEXT NOT NULL,
    description TEXT,
    dimension_id TEXT REFERENCES taxonomy_dimensions (id) ON DELETE SET NULL,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (type, name)
) STRICT;
CREATE INDEX taxonomy_nodes_name ON taxonomy_nodes (name);
CREATE INDEX taxonomy_nodes_dimension ON taxonomy_nodes (dimension_id);

CREATE TABLE taxonomy_edges (
    id TEXT NOT NULL PRIMARY KEY,
    type TEXT NOT NULL CHECK (type IN ('HAS_TAG', 'HAS_CATEGORY', 'USES_TAG', 'CO_OCCURS', 'MAPS_TO_CONCEPT')),
    source TEXT NOT NULL REFERENCES taxonomy_nodes (id) ON DELETE CASCADE,
    target TEXT NOT NULL REFERENCES taxonomy_nodes (id) ON DELETE CASCADE,
    weight REAL NOT NULL DEFAULT 1.0 CHECK (weight >= 0),
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (source, type, target)
) STRICT;
CREATE INDEX taxonomy_edges_target ON taxonomy_edges (target, type);

-- Another spelling or a platform's own word for a node.
CREATE TABLE taxonomy_mapping (
    id TEXT NOT NULL PRIMARY KEY,
    term TEXT NOT NULL,
    node_id TEXT NOT NULL REFERENCES taxonomy_nodes (id) ON DELETE CASCADE,
    weight REAL NOT NULL DEFAULT 1.0 CHECK (weight >= 0),
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (term, node_id)
) STRICT;
CREATE INDEX taxonomy_mapping_node ON taxonomy_mapping (node_id);

-- ------------------------------------------------------------------------------------------------ 3. Fans

CREATE TABLE fan_profiles (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    display_name TEXT,
    username TEXT,
    platform TEXT NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'churned', 'win-back', 'trial')),
    subscribed_at TEXT,
    last_seen_at TEXT,
    total_spend REAL NOT NULL DEFAULT 0,
    currency TEXT NOT NULL DEFAULT 'USD',
    tags TEXT NOT NULL DEFAULT '[]',
    -- from here on: tiers pro and studio
    message_count INTEGER NOT NULL DEFAULT 0,
    purchase_count INTEGER NOT NULL DEFAULT 0,
    tip_total REAL NOT NULL DEFAULT 0,
    ppv_total REAL NOT NULL DEFAULT 0,
    avg_order_value REAL,
    sentiment TEXT,
    churn_risk REAL,
    lifetime_days INTEGER,
    notes TEXT,
    preferences TEXT,
    custom TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (user_id, id)
) STRICT;
CREATE INDEX fan_profiles_seen ON fan_profiles (user_id, last_seen_at);
CREATE INDEX fan_profiles_spend ON fan_profiles (user_id, total_spend);

CREATE TABLE fan_platform_accounts (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    fan_profile_id TEXT NOT NULL,
    platform TEXT NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    platform_fan_id TEXT NOT NULL,
    username TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (user_id, platform, platform_fan_id),
    FOREIGN KEY (user_id, fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX fan_platform_accounts_fan ON fan_platform_accounts (user_id, fan_profile_id);

CREATE TABLE fan_subscriptions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    fan_profile_id TEXT NOT NULL,
    platform TEXT NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'instagram', 'tiktok', 'x', 'reddit', 'youtube',
                                               'snapchat', 'facebook')),
    plan TEXT,
    status TEXT NOT NULL DEFAULT 'active',
    price REAL,
    currency TEXT,
    started_at TEXT,
    expires_at TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    FOREIGN KEY (user_id, fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX fan_subscriptions_fan ON fan_subscriptions (user_id, fan_profile_id);

CREATE TABLE fan_subscription_events (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    fan_profile_id TEXT NOT NULL,
    subscription_id TEXT, -- no foreign key: the event outlives its subscription
    event_type TEXT NOT NULL,
    amount REAL,
    currency TEXT,
    occurred_at TEXT NOT NULL,
    metadata TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    FOREIGN KEY (user_id, fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX fan_subscription_events_fan ON fan_subscription_events (user_id, fan_profile_id, occurred_at);
CREATE TRIGGER fan_subscription_events_append_only BEFORE UPDATE ON fan_subscription_events
BEGIN
    SELECT raise(ABORT, 'fan_subscription_events is append only');
END;

-- Two profiles that are one person.
CREATE TABLE fan_identity_links (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    fan_profile_id TEXT NOT NULL,
    linked_fan_profile_id TEXT NOT NULL,
    confidence REAL NOT NULL DEFAULT 1.0 CHECK (confidence BETWEEN 0 AND 1),
    reason TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (user_id, fan_profile_id, linked_fan_profile_id),
    FOREIGN KEY (user_id, fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, linked_fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE,
    CHECK (fan_profile_id <> linked_fan_profile_id)
) STRICT;
CREATE INDEX fan_identity_links_linked ON fan_identity_links (user_id, linked_fan_profile_id);

CREATE TABLE fan_memories (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    fan_profile_id TEXT NOT NULL,
    memory_type TEXT,
    content TEXT NOT NULL,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    FOREIGN KEY (user_id, fan_profile_id) REFERENCES fan_profiles (user_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX fan_memories_fan ON fan_memories (user_id, fan_profile_id);

CREATE TABLE system_config (
    id TEXT NOT NULL PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    value TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- --------------------------------------------------------------------------------- 4. The server's own

-- A client's session id is a thread of that user; another user's identical id is another thread.
CREATE TABLE session_threads (
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL,
    thread_id INTEGER NOT NULL REFERENCES workspace_threads (id) ON DELETE CASCADE,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (user_id, session_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_threads_thread ON session_threads (thread_id);

-- Makes storing an answer idempotent without a column of ours in AnythingLLM's table.
CREATE TABLE chat_answers (
    answer_uuid TEXT NOT NULL PRIMARY KEY,
    chat_id INTEGER NOT NULL REFERENCES workspace_chats (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX chat_answers_chat ON chat_answers (chat_id);

-- seq is the order of arrival among equals; id is the public one, <media_jobs id>-<run>.
CREATE TABLE queue_jobs (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL CHECK (queue IN ('media-jobs', 'scrape-jobs', 'onboarding-jobs')),
    operation TEXT NOT NULL,
    user_id TEXT REFERENCES directus_users (id) ON DELETE CASCADE,
    media_job_id TEXT REFERENCES media_jobs (id) ON DELETE SET NULL,
    data TEXT NOT NULL DEFAULT '{}',
    state TEXT NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'prioritized', 'delayed', 'active', 'completed', 'failed')),
    priority INTEGER NOT NULL DEFAULT 10 CHECK (priority BETWEEN 0 AND 2097151),
    progress INTEGER NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    stalled_count INTEGER NOT NULL DEFAULT 0,
    run_at TEXT,      -- of a delayed job
    lease_owner TEXT, -- of an active one
    lease_until TEXT,
    result TEXT,
    error TEXT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    started_at TEXT,
    finished_at TEXT
) STRICT;
CREATE INDEX queue_jobs_next ON queue_jobs (queue, state, priority, seq);
CREATE INDEX queue_jobs_delayed ON queue_jobs (state, run_at);
CREATE INDEX queue_jobs_lease ON queue_jobs (state, lease_until);
CREATE INDEX queue_jobs_finished ON queue_jobs (queue, state, finished_at);
CREATE INDEX queue_jobs_user ON queue_jobs (user_id, seq);
CREATE INDEX queue_jobs_media_job ON queue_jobs (media_job_id);

CREATE TABLE queue_job_logs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL REFERENCES queue_jobs (id) ON DELETE CASCADE,
    line TEXT NOT NULL,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX queue_job_logs_job ON queue_job_logs (job_id, id);

-- What must still be carried to Redis; written in the transaction that promised it.
CREATE TABLE queue_outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    operation TEXT NOT NULL,
    data TEXT NOT NULL,
    priority INTEGER NOT NULL DEFAULT 10,
    relayed_at TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX queue_outbox_relayed ON queue_outbox (relayed_at, id);

-- A unit taken for a job, so that it is given back once and only once when the job fails for good.
CREATE TABLE quota_reservations (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    job_id TEXT NOT NULL UNIQUE,
    feature_key TEXT NOT NULL,
    billing_cycle_start TEXT NOT NULL,
    amount INTEGER NOT NULL DEFAULT 1 CHECK (amount > 0),
    status TEXT NOT NULL DEFAULT 'held' CHECK (status IN ('held', 'kept', 'returned')),
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX quota_reservations_user ON quota_reservations (user_id, status);

CREATE TABLE impersonations (
    id TEXT NOT NULL PRIMARY KEY, -- the token's jti
    impersonator_id TEXT NOT NULL, -- no foreign keys: the trail outlives both
    user_id TEXT NOT NULL,
    reason TEXT,
    ip TEXT,
    request_id TEXT,
    expires_at TEXT NOT NULL,
    ended_at TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX impersonations_impersonator ON impersonations (impersonator_id, date_created);
CREATE INDEX impersonations_user ON impersonations (user_id, date_created);

-- scope: a user's id, or a client address where there is no user yet.
CREATE TABLE idempotency_keys (
    scope TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done')),
    response_status INTEGER,
    response_body TEXT,
    expires_at TEXT NOT NULL,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (scope, route, key)
) STRICT;
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);

CREATE TABLE rate_limits (
    bucket TEXT NOT NULL PRIMARY KEY, -- route and client address
    window_start TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX rate_limits_window ON rate_limits (window_start);

CREATE TABLE revoked_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    user_id TEXT,
    expires_at TEXT NOT NULL, -- when the token would have died by itself, and this row may go
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_tokens_expires ON revoked_tokens (expires_at);

CREATE TABLE goose_runs (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT, -- no foreign key: the trail outlives the admin
    instructions TEXT NOT NULL,
    recipe TEXT,
    status TEXT NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
    exit_code INTEGER,
    output TEXT,
    error_message TEXT,
    started_at TEXT,
    finished_at TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX goose_runs_created ON goose_runs (date_created);

-- Who of several processes does a periodic duty, and when it was last done (a missed run is made up once).
CREATE TABLE leader_leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT,
    expires_at TEXT,
    last_run_at TEXT
) STRICT, WITHOUT ROWID;
