// SPDX-License-Identifier: MIT
//
// Databases as an AnythingLLM installation has them: its tables (those that are brought in, and some that are
// not), and Prisma's forms of values: times in milliseconds, booleans as 0 and 1.

import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const id = '"id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT';
const now = 'DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP';
const times = `"createdAt" ${now}, "lastUpdatedAt" ${now}`;
const link = (column, table) =>
    `CONSTRAINT "${table}_${column}_fkey" FOREIGN KEY ("${column}") REFERENCES "${table}" ("id") ` +
    'ON DELETE CASCADE ON UPDATE CASCADE';

const SCHEMA = `
CREATE TABLE "_prisma_migrations" ("id" TEXT PRIMARY KEY NOT NULL, "checksum" TEXT NOT NULL, "finished_at" DATETIME,
    "migration_name" TEXT NOT NULL, "logs" TEXT, "rolled_back_at" DATETIME,
    "started_at" DATETIME NOT NULL DEFAULT current_timestamp, "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0);
CREATE TABLE "users" (${id}, "username" TEXT, "password" TEXT NOT NULL, "role" TEXT NOT NULL DEFAULT 'default',
    "suspended" INTEGER NOT NULL DEFAULT 0, ${times}, "pfpFilename" TEXT, "seen_recovery_codes" BOOLEAN DEFAULT false,
    "dailyMessageLimit" INTEGER, "bio" TEXT DEFAULT '', "web_push_subscription_config" TEXT);
CREATE TABLE "workspaces" (${id}, "name" TEXT NOT NULL, "slug" TEXT NOT NULL, "vectorTag" TEXT, "createdAt" ${now},
    "openAiTemp" REAL, "openAiHistory" INTEGER NOT NULL DEFAULT 20, "lastUpdatedAt" ${now}, "openAiPrompt" TEXT,
    "similarityThreshold" REAL DEFAULT 0.25, "chatProvider" TEXT, "chatModel" TEXT, "topN" INTEGER DEFAULT 4,
    "chatMode" TEXT DEFAULT 'chat', "pfpFilename" TEXT, "agentProvider" TEXT, "agentModel" TEXT,
    "queryRefusalResponse" TEXT, "vectorSearchMode" TEXT DEFAULT 'default', "router_id" INTEGER);
CREATE TABLE "workspace_users" (${id}, "user_id" INTEGER NOT NULL, "workspace_id" INTEGER NOT NULL, ${times},
    ${link('workspace_id', 'workspaces')}, ${link('user_id', 'users')});
CREATE TABLE "workspace_threads" (${id}, "name" TEXT NOT NULL, "slug" TEXT NOT NULL, "workspace_id" INTEGER NOT NULL,
    "user_id" INTEGER, ${times}, ${link('workspace_id', 'workspaces')}, ${link('user_id', 'users')});
CREATE TABLE "workspace_chats" (${id}, "workspaceId" INTEGER NOT NULL, "prompt" TEXT NOT NULL, "response" TEXT NOT NULL,
    "include" BOOLEAN NOT NULL DEFAULT true, "user_id" INTEGER, ${times}, "thread_id" INTEGER, "feedbackScore" BOOLEAN,
    "api_session_id" TEXT, "memory_processed" BOOLEAN, ${link('user_id', 'users')});
CREATE TABLE "workspace_documents" (${id}, "docId" TEXT NOT NULL, "filename" TEXT NOT NULL, "docpath" TEXT NOT NULL,
    "workspaceId" INTEGER NOT NULL, "metadata" TEXT, ${times}, "pinned" BOOLEAN DEFAULT false,
    "watched" BOOLEAN DEFAULT false, FOREIGN KEY ("workspaceId") REFERENCES "workspaces" ("id"));
CREATE TABLE "document_vectors" (${id}, "docId" TEXT NOT NULL, "vectorId" TEXT NOT NULL, ${times});
CREATE TABLE "invites" (${id}, "code" TEXT NOT NULL, "status" TEXT NOT NULL DEFAULT 'pending', "claimedBy" INTEGER,
    "createdAt" ${now}, "createdBy" INTEGER NOT NULL, "lastUpdatedAt" ${now}, "workspaceIds" TEXT);
CREATE TABLE "api_keys" (${id}, "secret" TEXT, "createdBy" INTEGER, ${times}, "name" TEXT);
CREATE TABLE "system_settings" (${id}, "label" TEXT NOT NULL, "value" TEXT, ${times});
CREATE TABLE "event_logs" (${id}, "event" TEXT NOT NULL, "metadata" TEXT, "userId" INTEGER, "occurredAt" ${now});
CREATE TABLE "memories" (${id}, "user_id" INTEGER, "content" TEXT NOT NULL, "created_at" ${now});
CREATE UNIQUE INDEX "users_username_key" ON "users"("username");
CREATE UNIQUE INDEX "workspaces_slug_key" ON "workspaces"("slug");
CREATE UNIQUE INDEX "workspace_threads_slug_key" ON "workspace_threads"("slug");
CREATE UNIQUE INDEX "workspace_documents_docId_key" ON "workspace_documents"("docId");
CREATE UNIQUE INDEX "invites_code_key" ON "invites"("code");
CREATE UNIQUE INDEX "api_keys_secret_key" ON "api_keys"("secret");
CREATE UNIQUE INDEX "system_settings_label_key" ON "system_settings"("label");
`;

function literal(value) {
    if (value === null || value === undefined) return 'NULL';
    if (typeof value === 'number') return String(value);
    if (typeof value === 'boolean') return value ? '1' : '0';
    if (value instanceof Uint8Array) return `x'${Buffer.from(value).toString('hex')}'`;
    if (typeof value === 'object') return value.sql; // {sql: an expression}
    return `'${value.replaceAll("'", "''")}'`;
}

/** SQL that inserts an object into a table. */
export function insert(table, row) {
    const names = Object.keys(row).map((name) => `"${name}"`);
    return `INSERT INTO "${table}" (${names.join(', ')}) VALUES (${Object.values(row).map(literal).join(', ')});\n`;
}

/** An answer as AnythingLLM stores it. */
export function answer(text, more = {}) {
    return JSON.stringify({ text, sources: [], type: 'chat', attachments: [], metrics: {}, ...more });
}

export class AnythingLLM {
    /** An empty installation in `dir`. */
    constructor(dir) {
        this.dir = dir;
        this.file = join(dir, 'anythingllm.db');
        this.sql(
            SCHEMA +
                insert('_prisma_migrations', {
                    id: randomUUID(),
                    checksum: 'x',
                    migration_name: '20230921191814_init',
                    started_at: 1700000000000,
                }) +
                insert('system_settings', { label: 'multi_user_mode', value: 'true', createdAt: 1700000000001 }),
        );
    }

    /** Runs SQL, of any length. */
    sql(text) {
        execFileSync('sqlite3', ['-bail', this.file], { input: `BEGIN;\n${text}COMMIT;\n`, maxBuffer: 1 << 28 });
    }

    add(table, ...rows) {
        this.sql(rows.map((row) => insert(table, row)).join(''));
    }

    /** A document as the collector writes it. */
    document(path, text, more = {}) {
        const file = join(this.dir, 'documents', path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(
            file,
            JSON.stringify({
                id: randomUUID(),
                url: `file:///${path}`,
                title: path,
                docAuthor: 'Unknown',
                description: 'Unknown',
                docSource: 'a text file uploaded by the user.',
                chunkSource: '',
                published: '1/1/2026, 10:00:00 AM',
                wordCount: text.split(' ').length,
                pageContent: text,
                token_count_estimate: 1,
                ...more,
            }),
        );
    }
}
