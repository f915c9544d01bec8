// SPDX-License-Identifier: MIT
//
// Pictures and films that can be decoded: PNGs made here, and short films made once by FFmpeg.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { crc32 } from './zip.mjs';

function chunk(type, data) {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
}

/** A whole PNG of one colour ([r, g, b] or [r, g, b, a]), or of colour(x, y). */
export function picture(width, height, colour = [40, 90, 160]) {
    const at = typeof colour === 'function' ? colour : () => colour;
    const channels = at(0, 0).length;
    const rows = Buffer.alloc(height * (1 + width * channels));
    for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) rows.set(at(x, y), y * (1 + width * channels) + 1 + x * channels);
    const head = Buffer.alloc(13);
    head.writeUInt32BE(width, 0);
    head.writeUInt32BE(height, 4);
    head.set([8, channels === 4 ? 6 : 2], 8);
    return Buffer.concat([
        Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
        chunk('IHDR', head),
        chunk('IDAT', deflateSync(rows)),
        chunk('IEND', Buffer.alloc(0)),
    ]);
}

/** A gradient, whose pixels differ. */
export const gradient = (width, height) =>
    picture(width, height, (x, y) => [(x * 255) / width, (y * 255) / height, 128]);

/** One that no program makes small. */
export const noise = (width, height) => picture(width, height, () => [...randomBytes(3)]);

/** A film with sound: an MP4 of so many seconds. */
export function film(seconds = 2, { width = 160, height = 120, rate = 10 } = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'genie-film-'));
    const path = join(dir, 'film.mp4');
    try {
        execFileSync('ffmpeg', [
            '-v', 'error', '-nostdin',
            '-f', 'lavfi', '-i', `testsrc=size=${width}x${height}:rate=${rate}:duration=${seconds}`,
            '-f', 'lavfi', '-i', `sine=frequency=440:duration=${seconds}`,
            '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-shortest', path,
        ]);
        return readFileSync(path);
    } finally {
        rmSync(dir, { recursive: true, force: true });
    }
}

/** {width, height} of a PNG or JPEG, by ImageMagick's own word. */
export function sizeOf(bytes) {
    const out = execFileSync('identify', ['-format', '%w %h', '-'], { input: bytes, encoding: 'utf8' });
    const [width, height] = out.split(' ').map(Number);
    return { width, height };
}
