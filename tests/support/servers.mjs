// SPDX-License-Identifier: MIT
//
// Several servers on one store, as behind a balancer.
//
//     const servers = await startServers(2, { env });
//     const user = await servers[0].addUser();
//     await stopServers(servers);

import { Genie } from './genie.mjs';

/** One more server on the store of another, with its secrets; `env` adds to that of the other. */
export async function joinServer(first, { env = {} } = {}) {
    const options = {
        env: { ...first.given, ...first.extra, ...env },
        dataDir: first.dataDir,
        store: first.store,
        database: first.databaseUrl,
    };
    return await new Genie(options).start();
}

export async function startServers(count, options = {}) {
    const servers = [await new Genie(options).start()];
    while (servers.length < count) servers.push(await joinServer(servers[0]));
    return servers;
}

/** Stops all of them, the one that owns the data last; what a test has killed is left alone. */
export async function stopServers(servers) {
    const failed = [];
    for (const server of [...(servers ?? [])].reverse()) await server.stop().catch((error) => failed.push(error));
    if (failed.length > 0) throw failed[0];
}

/** A counter or gauge that a server shows. */
export async function metric(server, name) {
    const { text } = await server.request('/metrics');
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    if (!line) throw new Error(`there is no metric ${name}`);
    return Number(line.split(' ')[1]);
}

/** Those of the servers that say that they lead. */
export async function leaders(servers) {
    const flags = await Promise.all(
        servers.map((server) => (server.child ? metric(server, 'genie_leader') : 0)),
    );
    return servers.filter((_, i) => flags[i] === 1);
}
