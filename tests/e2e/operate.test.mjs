// SPDX-License-Identifier: MIT
//
// docs/operate.md is followed to the letter, on a machine of the test's (tests/support/machine.mjs): its commands in
// their order, with other values for the names that it sets, and what they print held against what it shows. What
// the book says of a Directus is followed in directus-operate.test.mjs.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AnythingLLM, answer } from '../support/anythingllm.mjs';
import { Shell, blocksOf, pageText } from '../support/book.mjs';
import { removeDir, tempDir } from '../support/dirs.mjs';
import { GENIE_BIN, ON_POSTGRES } from '../support/genie.mjs';
import { request } from '../support/http.mjs';
import { Machine, parseUnit } from '../support/machine.mjs';
import { freePort } from '../support/ports.mjs';
import { PostgresServer, sql } from '../support/postgres.mjs';
import { eventually } from '../support/talk.mjs';

const BOOK = 'docs/operate.md';
const KINDS = ['sh', 'sh embedded', 'sh postgres', 'sh directus', 'text'];
const SECOND = '127.0.0.2';

const packaged = (name) => pageText(`packaging/${name}`);

/** A certificate for the loopback address, which curl is told to believe. */
function certificate(dir) {
    const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
    const subject = ['-subj', '/CN=genie', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', cert], {
        stdio: 'ignore',
    });
    return { cert, key };
}

/** An AnythingLLM with one user who has said something. */
function newAnythingLLM() {
    const old = new AnythingLLM(tempDir('genie-anythingllm-'));
    old.add('users', { id: 2, username: 'mia@example.com', password: '$2b$10$x', role: 'default' });
    old.add('workspaces', { id: 1, name: 'Ideas', slug: 'ideas' });
    old.add('workspace_users', { user_id: 2, workspace_id: 1 });
    old.add('workspace_chats', {
        workspaceId: 1,
        user_id: 2,
        prompt: 'First thought',
        response: answer('Yes.'),
    });
    return old;
}

/** A PostgreSQL of its own, where the role of the book must know its password. */
function newPostgres() {
    const server = new PostgresServer();
    const file = server.sql('SHOW hba_file');
    const rest = readFileSync(file, 'utf8');
    writeFileSync(file, `local all genie scram-sha-256\n${rest}`);
    server.sql('SELECT pg_reload_conf()');
    const named = (user, name) => server.url.replace(/\/\/[^@]*@\/[^?]*/, `//${user}@/${name}`);
    return {
        server,
        admin: named('postgres', 'postgres'),
        genie: named('genie', 'genie'),
        trial: named('genie', 'genie_try'),
    };
}

describe('docs/operate.md', () => {
    test('marks every block, and has no command beside them', () => {
        for (const { info, line } of blocksOf(BOOK))
            assert.ok(KINDS.includes(info), `line ${line}: a block must be one of ${KINDS.join(', ')}`);
    });

    test('shows settings, metrics and files that there are', () => {
        const text = pageText(BOOK);
        const settings = execFileSync(GENIE_BIN, ['config', '--docs'], { encoding: 'utf8' });
        for (const [, name] of text.matchAll(/`([A-Z]+_[A-Z_]+)`/g))
            assert.ok(settings.includes(`\`${name}\``), name);
        const metrics = pageText('src/base/metrics.c') + pageText('src/base/metrics.h');
        for (const [, name] of text.matchAll(/`(genie_\w+)/g)) assert.ok(metrics.includes(name), name);
        for (const [, name] of text.matchAll(/\]\(([\w.-]+\.md)\)/g))
            assert.ok(existsSync(new URL(`../../docs/${name}`, import.meta.url)), name);
    });
});

describe('the units of systemd', () => {
    const units = ['genie.service', 'genie-worker.service', 'genie-backup.service', 'genie-backup.timer'];

    test('are what systemd reads', (t) => {
        if (spawnSync('systemd-analyze', ['--version']).error) return t.skip('there is no systemd-analyze');
        const dir = tempDir('genie-units-');
        for (const name of units) {
            const text = packaged(name).replace(/\/usr\/local\/bin\/genie(-backup)?/g, '/bin/true');
            writeFileSync(join(dir, name), text);
        }
        const verified = spawnSync('systemd-analyze', ['verify', ...units.map((name) => join(dir, name))], {
            encoding: 'utf8',
        });
        assert.equal(verified.status, 0, verified.stderr);
        assert.equal(verified.stderr, '');
        removeDir(dir);
    });

    test('start it as its user, in its directory, with few rights', () => {
        const { Service: service, Install: install } = parseUnit(packaged('genie.service'));
        const wanted = {
            User: 'genie',
            StateDirectory: 'genie',
            StateDirectoryMode: '0700',
            WorkingDirectory: '/var/lib/genie',
            ExecStart: '/usr/local/bin/genie serve',
            ExecReload: '/bin/kill -HUP $MAINPID',
            Restart: 'always',
            CapabilityBoundingSet: '',
            NoNewPrivileges: 'yes',
            ProtectSystem: 'strict',
            ProtectHome: 'yes',
            UMask: '0077',
            LimitCORE: '0',
        };
        for (const [name, value] of Object.entries(wanted)) assert.deepEqual(service[name], [value], name);
        const settings = execFileSync(GENIE_BIN, ['config', '--docs'], { encoding: 'utf8' });
        const [, connections] = /`MAX_CONNECTIONS` \| (\d+)/.exec(settings);
        assert.ok(Number(service.LimitNOFILE[0]) >= Number(connections) * 2 + 256);
        assert.deepEqual(install.WantedBy, ['multi-user.target']);
        for (const name of units)
            for (const path of packaged(name).match(/\/(usr\/local|var)\/[\w/]+/g) ?? [])
                assert.match(path, /^\/usr\/local\/bin\/genie|^\/var\/(lib|backups)\/genie/);
    });

    test('have the paths of the book', () => {
        const [names] = blocksOf(BOOK);
        for (const path of [
            'PREFIX=/usr/local ',
            'GENIE_HOME=/var/lib/genie ',
            'BACKUPS=/var/backups/genie\n',
        ])
            assert.ok(names.text.includes(path), path);
    });
});

describe('the book, followed', () => {
    let machine, second, shell, postgres, old, names;
    const dir = tempDir('genie-book-');

    before(async () => {
        const port = await freePort();
        const tls = certificate(dir);
        machine = await new Machine({ port }).start();
        old = newAnythingLLM();
        names = {
            ...machine.names,
            TLS_CERTIFICATE: tls.cert,
            TLS_KEY: tls.key,
            ANYTHINGLLM: old.dir,
        };
        if (ON_POSTGRES) {
            postgres = newPostgres();
            second = machine.second = await new Machine({ port, address: SECOND }).start();
            Object.assign(names, {
                ADMIN_URL: postgres.admin,
                DATABASE_URL: postgres.genie,
                NEW_DATABASE_URL: postgres.trial,
                DB_PASSWORD: randomUUID(),
                FIRST: '127.0.0.1',
                SECOND,
            });
        }
        shell = new Shell({ cwd: machine.source, env: { ...machine.env, CURL_CA_BUNDLE: tls.cert } });
    });
    after(async () => {
        shell?.stop();
        const ends = await Promise.allSettled([second?.stop(), machine?.stop()]);
        postgres?.server.remove();
        for (const each of [dir, old?.dir]) if (each) removeDir(each);
        for (const { reason } of ends) if (reason) throw reason;
    });

    const url = () => `http://127.0.0.1:${machine.port}`;
    const me = (token) => request(`${url()}/api/directus/users/me`, { token });
    const tokenOf = async (email) => (await shell.run(`genie user token --ttl 1h --email ${email}`)).trim();
    let anna, connection;

    /** What somebody does between two steps, and what must be so after one. */
    const before_ = {
        '8. Rotating secrets': async () => {
            anna = await tokenOf('anna@example.com');
            const made = await request(`${url()}/api/credentials/create-profile`, {
                method: 'POST',
                token: anna,
                body: { platform: 'x', platform_username: 'anna', credentials: { password: 'of anna' } },
            });
            assert.equal(made.status, 200, made.text);
            connection = made.json.id;
        },
        '10. A second server': async () => {
            // step 1 there, but for genie.env, which comes over
            await second._systemctl('daemon-reload');
            copyFileSync(join(machine.units, 'genie.service'), join(second.units, 'genie.service'));
            execFileSync('cp', ['-r', join(machine.prefix, 'bin'), second.prefix]);
        },
    };
    const after_ = {
        '1. Install': async () => {
            assert.equal(statSync(join(machine.home, 'genie.env')).mode & 0o777, 0o600);
            assert.equal(statSync(machine.home).mode & 0o777, 0o700);
        },
        '2. First start': async () => {
            assert.ok(machine.enabled.has('genie'));
            assert.equal(statSync(join(machine.home, 'data', 'secrets.env')).mode & 0o777, 0o600);
        },
        '3. People': async () => {
            const reads = () => machine.log.split('\n').filter((line) => line.includes('tiers in force'));
            await eventually(() => reads().length === 3, 'two starts and a reload');
            assert.ok(reads().at(-1).includes('tiers.json'));
        },
        '4. TLS': async () => {
            const plain = await request(`http://127.0.0.1:${machine.http}/healthz`);
            assert.equal(plain.status, 301);
            assert.match(plain.headers.location, /^https:/);
        },
        '6. Backup and restore': async () => {
            assert.ok(machine.enabled.has('genie-backup.timer'));
            for (const name of machine.backupNames())
                assert.equal(statSync(join(machine.backups, name)).mode & 0o777, 0o600);
        },
        '8. Rotating secrets, block 1': async () => {
            assert.equal((await me(anna)).status, 200, 'a token that the old secret signed');
            assert.equal((await me(await tokenOf('anna@example.com'))).status, 200);
        },
        '8. Rotating secrets': async () => {
            // its token was signed by the secret that is gone
            assert.equal((await me(anna)).json.errors[0].extensions.code, 'INVALID_TOKEN');
            anna = await tokenOf('anna@example.com');
            await revealed();
            const { stdout } = spawnSync(
                'grep',
                ['-c', 'CREDENTIALS_OLD_KEYS', join(machine.home, 'genie.env')],
                {
                    encoding: 'utf8',
                },
            );
            assert.equal(stdout, '0\n');
        },
        '9. To PostgreSQL': async () => {
            assert.equal((await me(anna)).status, 200, 'the secrets came along');
            await revealed();
            assert.equal(
                sql(postgres.admin, "SELECT count(*) FROM pg_database WHERE datname = 'genie_try'"),
                '0',
            );
        },
        '10. A second server': async () => {
            assert.ok(second.enabled.has('genie'));
            const there = await request(`http://${SECOND}:${machine.port}/api/directus/users/me`, {
                token: anna,
            });
            assert.equal(there.status, 200);
        },
        '12. From AnythingLLM': async () => {
            const token = await tokenOf('mia@example.com');
            const { json } = await request(`${url()}/api/genie/history`, { token });
            assert.equal(json.data[0].prompt, 'First thought');
        },
    };

    async function revealed() {
        const { json, text } = await request(`${url()}/api/credentials/reveal`, {
            method: 'POST',
            token: anna,
            body: { creatorProfileId: connection },
        });
        assert.deepEqual(json?.credentials, { password: 'of anna' }, text);
    }

    const wanted = ['sh', 'sh embedded', ...(ON_POSTGRES ? ['sh postgres'] : [])];
    const steps = Map.groupBy?.(blocksOf(BOOK), ({ heading }) => heading) ?? grouped(blocksOf(BOOK));

    function grouped(blocks) {
        const groups = new Map();
        for (const block of blocks) groups.set(block.heading, [...(groups.get(block.heading) ?? []), block]);
        return groups;
    }

    let broken;
    for (const [heading, blocks] of steps) {
        const chosen = blocks.filter(({ info }) => wanted.includes(info));
        if (chosen.length === 0) continue;
        test(heading, async () => {
            assert.equal(broken, undefined, 'the step before failed');
            broken = heading;
            await before_[heading]?.();
            for (const [i, block] of chosen.entries()) {
                await shell.follow(block, names);
                if (machine.running.has('genie')) await shell.run('ready');
                await after_[`${heading}, block ${i + 1}`]?.();
            }
            await after_[heading]?.();
            broken = undefined;
        });
    }

    test('has left every server well, and no secret in a log', async () => {
        assert.equal(broken, undefined);
        const secrets = readFileSync(join(machine.home, 'data', 'secrets.env'), 'utf8')
            .trim()
            .split('\n');
        assert.ok(secrets.length >= 3);
        for (const line of secrets) assert.ok(!machine.log.includes(line.slice(line.indexOf('=') + 1)));
        assert.doesNotMatch(machine.log, /Sanitizer|runtime error|"level":"error"/);
    });
});
