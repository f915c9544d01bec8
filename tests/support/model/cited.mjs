// SPDX-License-Identifier: MIT
//
// The answer of a stand-in that nobody scripted: it quotes the stored passage that shares most words
// with the question and cites its id, or says that there is none. Enough for demos and manual trials.

const PASSAGE = /^\s*(?:[-*]\s+)?\[(?!ACTION:)([^\]\s]{1,80})\]\s*(\S.*)$/gm;

const words = (text) => new Set(text.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? []);

export function citedAnswer({ prompt, system, messages }) {
    const asked = words(prompt);
    const context = [system, ...messages.slice(0, -1).map((m) => m.content)].join('\n');
    let best = null;
    for (const [, id, text] of context.matchAll(PASSAGE)) {
        const shared = [...words(text)].filter((word) => asked.has(word)).length;
        if (!best || shared > best.shared) best = { id, text: text.slice(0, 240), shared };
    }
    const question = prompt.length > 120 ? `${prompt.slice(0, 117)}…` : prompt;
    if (!best) return `You asked: “${question}” Nothing stored speaks of that yet.`;
    return `You asked: “${question}” Your notes say: ${best.text} [${best.id}]`;
}
