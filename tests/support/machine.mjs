// SPDX-License-Identifier: MIT
//
// A machine for commands that are an administrator's: directories of its own, and in PATH stand-ins for what would
// change the real one. systemctl does with the units that were installed what systemd would, as far as they say how a
// process is started, reloaded and stopped; nginx is the real one, on free ports. useradd and chown do nothing, runuser
// runs the command as it is, ssh and scp lead to a second machine of this kind. `./dev build` gives the program under test.

import assert from 'node:assert/strict';
import {
    copyFileSync,
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    symlinkSync,
    writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { removeDir, tempDir } from './dirs.mjs';
import { GENIE_BIN, baseEnv, exitWithin, launch } from './genie.mjs';
import { mainConfig, nginxProgram } from './nginx.mjs';
import { freePort } from './ports.mjs';

const SOURCE = fileURLToPath(new URL('../..', import.meta.url));
const STOP_MS = 30_000;
const ONCE_MS = 60_000;

const PATHS = { '/usr/local': 'prefix', '/var/lib/genie': 'home', '/var/backups/genie': 'backups' };

/** The settings of a unit: {Section: {Name: [values]}}. */
export function parseUnit(text) {
    const unit = {};
    let section = null;
    for (const line of text.split('\n')) {
        if (/^\s*([#;]|$)/.test(line)) continue;
        const [, name] = /^\[(\w+)\]$/.exec(line) ?? [];
        const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
        assert.ok(name || (section && key), `a unit can't have the line ${line}`);
        if (name) section = unit[name] ??= {};
        else (section[key] ??= []).push(value);
    }
    return unit;
}

export class Machine {
    /** `services` of others: {name: {restart()}}. */
    constructor({ port, services = {}, address = '127.0.0.1' }) {
        this.dir = tempDir('genie-machine-');
        Object.assign(this, { port, services, address, running: new Map(), log: '', enabled: new Set() });
        for (const place of ['prefix', 'home', 'backups', 'units', 'nginx', 'bin', 'source', 'nginx/conf.d'])
            mkdirSync((this[place] = join(this.dir, place)), { recursive: true });
    }

    async start() {
        this.socket = join(this.dir, 'socket');
        this.server = createServer((request, response) => void this.#serve(request, response));
        await new Promise((resolve) => this.server.listen(this.socket, resolve));
        for (const name of ['http', 'https']) this[name] = await freePort();
        for (const name of ['config', 'packaging']) symlinkSync(join(SOURCE, name), join(this.source, name));
        writeFileSync(
            join(this.source, 'dev'),
            `#!/bin/sh\n[ "$*" = build ] || exit 2\nmkdir -p build\nln -sf '${GENIE_BIN}' build/genie\n`,
            { mode: 0o755 },
        );
        for (const name of ['useradd', 'chown']) this.#program(name, 'exit 0');
        this.#program('runuser', '[ "$1 $3" = "-u --" ] || exit 2\nshift 3\nexec "$@"');
        for (const name of ['systemctl', 'journalctl', 'nginx', 'ssh', 'scp'])
            this.#program(
                name,
                `args=$(for each; do printf '%s\\n' "$each"; done)\n` +
                    `exec curl -sS --fail-with-body --unix-socket '${this.socket}' --data-binary "$args" http://machine/${name}`,
            );
        return this;
    }

    #program(name, text) {
        writeFileSync(join(this.bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    }

    get env() {
        const path = `${this.bin}:${this.prefix}/bin:${process.env.PATH}`;
        return { ...baseEnv(), PATH: path, HOME: this.dir };
    }

    /** Values for the names that the book sets. */
    get names() {
        const { prefix, home, backups, units, nginx, port } = this;
        return {
            PREFIX: prefix,
            GENIE_HOME: home,
            BACKUPS: backups,
            UNITS: units,
            NGINX: nginx,
            PORT: String(port),
            PUBLIC_URL: `https://127.0.0.1:${this.https}`,
        };
    }

    async #serve(request, response) {
        let text = '';
        for await (const part of request.setEncoding('utf8')) text += part;
        const verb = request.url.slice(1);
        try {
            const said = await this[`_${verb}`](...text.split('\n').filter((arg) => arg !== ''));
            response.writeHead(200).end(said ?? '');
        } catch (error) {
            response.writeHead(500).end(`${verb}: ${error.message}\n`);
        }
    }

    // ---- systemd

    /** A unit's text with the places of this machine. */
    unitText(name) {
        const file = join(this.units, name.includes('.') ? name : `${name}.service`);
        if (!existsSync(file)) throw new Error(`Unit ${name} could not be found.`);
        let text = readFileSync(file, 'utf8');
        for (const [path, place] of Object.entries(PATHS)) text = text.replaceAll(path, this[place]);
        return text;
    }

    #service(name) {
        const { Service: service } = parseUnit(this.unitText(name));
        const [program, ...args] = service.ExecStart[0].split(' ');
        const env = { ...this.env, HOME: this.home };
        for (const file of service.EnvironmentFile ?? [])
            for (const line of readFileSync(file, 'utf8').split('\n')) {
                const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
                if (key) env[key] = value;
            }
        return { service, program, args, env, cwd: service.WorkingDirectory[0] };
    }

    async #begin(name) {
        if (this.running.has(name)) return;
        const { service, program, args, env, cwd } = this.#service(name);
        const child = launch(args, env, 'ignore', { program, cwd });
        for (const stream of ['stdout', 'stderr'])
            child[stream].setEncoding('utf8').on('data', (part) => {
                this.log += part;
            });
        if (service.Type[0] === 'oneshot') {
            const exit = await exitWithin(child, ONCE_MS);
            if (exit?.code !== 0) throw new Error(`Job for ${name} failed (${JSON.stringify(exit)}).\n${this.log}`);
        } else this.running.set(name, child);
    }

    async #end(name) {
        const child = this.running.get(name);
        this.running.delete(name);
        child?.kill('SIGTERM');
        const exit = child && (await exitWithin(child, STOP_MS));
        if (child && exit?.code !== 0) {
            child.kill('SIGKILL');
            throw new Error(`${name} ended with ${JSON.stringify(exit)}:\n${this.log}`);
        }
    }

    async #reload(name) {
        const child = this.running.get(name);
        const [command] = parseUnit(this.unitText(name)).Service.ExecReload;
        const [, signal] = /^\/bin\/kill -(\w+) \$MAINPID$/.exec(command);
        if (!child?.kill(`SIG${signal}`)) throw new Error(`${name} is not active.`);
    }

    async _systemctl(...args) {
        const [verb, ...names] = args.filter((arg) => arg !== '--now');
        if (verb === 'daemon-reload') return;
        for (const unit of names) {
            const name = unit.replace(/\.service$/, '');
            if (name === 'nginx') await this.#restartNginx();
            else if (this.services[name]) await this.services[name][verb]();
            else if (verb === 'enable') await this.#enable(name, args.includes('--now'));
            else if (verb === 'start') await this.#begin(name);
            else if (verb === 'stop') await this.#end(name);
            else if (verb === 'restart') await this.#end(name).then(() => this.#begin(name));
            else if (verb === 'reload') await this.#reload(name);
            else throw new Error(`Unknown command verb ${verb}.`);
        }
    }

    async #enable(name, now) {
        const unit = parseUnit(this.unitText(name));
        if (!unit.Install?.WantedBy) throw new Error(`${name} has no [Install].`);
        this.enabled.add(name);
        if (now && !unit.Timer) await this.#begin(name);
    }

    async _journalctl(...args) {
        const count = Number(args[args.indexOf('-n') + 1]);
        return this.log.trimEnd().split('\n').slice(-count).map((line) => `${line}\n`).join('');
    }

    // ---- nginx

    #nginxConfig() {
        const copy = tempDir('genie-nginx-');
        for (const name of ['conf.d/genie.conf', 'genie-tls.conf']) {
            const text = readFileSync(join(this.nginx, name), 'utf8')
                .replace('listen 80;', `listen 127.0.0.1:${this.http};`)
                .replace('listen 443 ssl;', `listen 127.0.0.1:${this.https} ssl;`)
                .replaceAll('/etc/nginx', copy);
            writeFileSync(join(copy, name.replace('conf.d/', '')), text);
        }
        writeFileSync(join(copy, 'nginx.conf'), mainConfig(copy));
        return ['-p', copy, '-e', 'stderr', '-c', join(copy, 'nginx.conf')];
    }

    async _nginx(...args) {
        const child = launch([...args, ...this.#nginxConfig()], this.env, 'ignore', { program: nginxProgram() });
        let said = '';
        child.stderr.on('data', (part) => {
            said += part;
        });
        child.stdout.resume();
        const exit = await exitWithin(child, ONCE_MS);
        if (exit?.code !== 0) throw new Error(said);
    }

    async #restartNginx() {
        this.proxy?.kill('SIGTERM');
        await this.proxy?.exited;
        this.proxy = launch(this.#nginxConfig(), this.env, 'ignore', { program: nginxProgram() });
        for (const stream of ['stdout', 'stderr']) this.proxy[stream].resume();
        for (let i = 0; i < 500; i++) {
            const up = await fetch(`http://127.0.0.1:${this.http}/`, { redirect: 'manual' }).catch(() => null);
            if (up) return;
            await sleep(20);
        }
        throw new Error('nginx does not listen');
    }

    // ---- the other machine

    async _scp(...args) {
        const names = args.filter((arg) => !arg.startsWith('-'));
        const to = names.pop();
        assert.equal(to, `root@${this.second.address}:${this.home}/`);
        for (const name of names) copyFileSync(name, join(this.second.home, name.split('/').at(-1)));
    }

    async _ssh(host, command) {
        assert.equal(host, `root@${this.second.address}`);
        const { second } = this;
        const there = command.replaceAll(this.home, second.home);
        const child = launch(['-euc', there], second.env, 'ignore', { program: '/bin/sh' });
        let said = '';
        for (const stream of ['stdout', 'stderr'])
            child[stream].setEncoding('utf8').on('data', (part) => {
                said += part;
            });
        const exit = await exitWithin(child, ONCE_MS);
        if (exit?.code !== 0) throw new Error(said);
        return said;
    }

    /** Ends what runs on it; throws where a server doesn't end well. */
    async stop() {
        try {
            this.proxy?.kill('SIGTERM');
            await this.proxy?.exited;
            for (const name of [...this.running.keys()]) await this.#end(name);
        } finally {
            this.server.closeAllConnections();
            this.server.close();
            removeDir(this.dir);
        }
    }

    /** All names in the backups' directory. */
    backupNames() {
        return readdirSync(this.backups);
    }
}
