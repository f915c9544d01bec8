// SPDX-License-Identifier: MIT
//
// Temporary directories that are gone when the test process ends.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made = new Set();

export function tempDir(name = 'genie-test-') {
    const path = mkdtempSync(join(tmpdir(), name));
    made.add(path);
    return path;
}

export function removeDir(path) {
    made.delete(path);
    rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}

process.on('exit', () => {
    for (const path of made) removeDir(path);
});
