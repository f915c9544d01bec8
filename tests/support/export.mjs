// SPDX-License-Identifier: MIT
//
// A creator's export as platforms and creators make them: posts and messages in JSON, fans in a table, notes,
// pages; with emoji, accents, hashtags, a file that is broken, one that is no text, and an archive within the
// archive. The same every time; several hundred records.

import { makeZip } from './zip.mjs';

const PLACES = ['Lisbon', 'Berlin', 'the studio', 'Kraków', 'the lake', 'São Paulo', 'a rooftop', 'home'];
const THEMES = ['sunset', 'rope', 'oil paint', 'latex', 'yoga', 'vintage', 'neon', 'rain'];
const MOODS = ['Guess what I am up to', 'Thank you for being here', 'New set is out', 'What should I wear next?'];
const NAMES = ['Anna', 'Jürgen', 'Zoë', 'Mateusz', 'Inês', 'Olu', '美咲', 'Dmitri', 'Síle', 'Pavel', 'Noor', 'Kai'];
const EMOJI = ['😊', '🔥', '✨', '🌧️', '🎨', '💋'];

const pick = (list, n) => list[n % list.length];
const at = (n) => new Date(Date.UTC(2026, 0, 1) + n * 7_200_000).toISOString();
/** UTF-8 as one character a byte, as one large platform writes it. */
const mangled = (text) => Buffer.from(text, 'utf8').toString('latin1');

function posts(count) {
    return Array.from({ length: count }, (_, n) => ({
        id: 1000 + n,
        caption: {
            text:
                `${pick(MOODS, n)} ${pick(EMOJI, n)} Day ${n + 1} in ${pick(PLACES, n * 3 + 1)}: ` +
                `${pick(THEMES, n * 5)} and ${pick(THEMES, n * 7 + 2)}. #${pick(THEMES, n).replace(' ', '')}`,
        },
        created_at: at(n),
        hashtags: [{ text: pick(THEMES, n * 5) }, { text: `set${n % 40}` }],
        stats: { likes: (n * 37) % 500, comments: (n * 11) % 60 },
        price: n % 4 ? 0 : 15,
        media: [{ uri: `media/${n}.jpg`, type: 'photo' }],
    }));
}

function conversation(name, n, count) {
    return {
        participants: [{ name: mangled(name) }, { name: 'Mia' }],
        messages: Array.from({ length: count }, (_, i) => ({
            sender_name: i % 2 ? 'Mia' : mangled(name),
            timestamp_ms: Date.parse(at(n * 20 + i)),
            content: mangled(
                i % 2
                    ? `That is sweet of you, ${name} ${pick(EMOJI, i)} I will think about ${pick(THEMES, n + i)}`
                    : `Message ${i + 1} of ${name}: I still love your ${pick(THEMES, n * 2 + i)} set from ${pick(PLACES, i + n)}`,
            ),
        })),
        title: mangled(name),
        thread_path: `inbox/${n}`,
    };
}

function fans(count) {
    const rows = Array.from({ length: count }, (_, n) => {
        const name = `${pick(NAMES, n)} ${n + 1}`;
        const note = n % 3 ? `Asked for "${pick(THEMES, n)}", lives near ${pick(PLACES, n)}` : '';
        const quoted = note ? `"${note.replaceAll('"', '""')}"` : '';
        return `${name},@fan${n},${(n * 17) % 400}.50,"${n % 5 ? 'regular' : 'vip'},${pick(THEMES, n)}",${quoted},fan${n}@example.com`;
    });
    return `display_name,username,total_spend,tags,notes,email\r\n${rows.join('\r\n')}\r\n`;
}

const NOTES = `---
title: Plans
tags: [planning]
---
# Plans

## Launch of the Lisbon rooftop set

The Lisbon rooftop set comes out on the third of May. It has forty pictures and a film of nine minutes.
The price is twenty-five for a week, then thirty-five. Teasers go out on the three evenings before. #launch

## What sold best

Rope with rain sold best in winter: 212 sales in February. Neon did poorly. Fans in Kraków ask for Polish captions.

## Voice

Warm and teasing, never rude. First names. No exclamation marks in rows.

Under the line
--------------
A thought that has no place yet: a calendar for 2027.
`;

const ABOUT = `I am Mia. I paint in oil, I dance, and I have made pictures since 2019.

My people like slow stories, rain on windows, and honest answers. I never send what I would not show my sister a year later.
`.replace(/\n/g, '\r\n');

const PROFILE = `<!doctype html><html><head><meta charset="utf-8"><title>Mia's page</title>
<style>body{color:#222}</style><script>window.tracked = '<p>not for reading</p>';</script></head>
<body><header><h1>Mia</h1></header><main><p>Painter &amp; dancer from <b>Kraków</b>, now in Lisbon 🎨
<h2>Prices</h2><table><tr><th>What<th>How much<tr><td>Custom film<td>120<tr><td>Painted portrait<td>300</table>
<h2>Boundaries</h2><ul><li>No meetings<li>No names of other creators</ul></main></body></html>
`;

export const LISBON = 'the third of May';

/** The entries of the archive, for makeZip. */
export function exportEntries({ size = 1 } = {}) {
    const many = (n) => Math.max(1, Math.round(n * size));
    const json = (value) => Buffer.from(JSON.stringify(value, null, 1));
    return [
        { name: 'data/', data: '', mode: 0o040755 },
        { name: 'data/posts.json', data: json({ posts: posts(many(160)) }), deflate: true },
        ...Array.from({ length: many(8) }, (_, n) => ({
            name: `data/messages/inbox/${n}/messages.json`,
            data: json(conversation(pick(NAMES, n), n, many(24))),
            deflate: true,
        })),
        { name: 'data/fans.csv', data: fans(many(90)), deflate: true },
        { name: 'notes.md', data: NOTES },
        { name: 'about.txt', data: Buffer.from(`\ufeff${ABOUT}`, 'utf16le') },
        { name: 'profile.html', data: PROFILE, flags: 0x800 },
        { name: 'data/drafts.json', data: '[{"text":"A draft that was saved"},{"text":"one that was not', deflate: true },
        { name: 'data/cache.txt', data: Buffer.from([0, 1, 2, 3, 0, 0, 255]) },
        { name: 'data/older.zip', data: makeZip([{ name: 'x.txt', data: 'x' }]) },
        { name: 'media/1.jpg', data: Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]) },
        { name: '__MACOSX/._notes.md', data: 'litter' },
    ];
}

export const sampleExport = (options) => makeZip(exportEntries(options));
