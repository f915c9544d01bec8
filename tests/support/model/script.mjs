// SPDX-License-Identifier: MIT
//
// A script says what a stand-in model does with one request. It is a list of steps; the shorthand
// fields below are compiled into steps, so that the player (player.mjs) knows one form only.
//
// Content
//   text            what the model says; cut into tokens by `cut`
//   cut             'word' (default), 'char', 'unit' (UTF-16 code units: splits surrogate pairs), a
//                   number of characters, or a function (text) => [token, …]
//   tokens          the tokens themselves instead of text
//   thinking        reasoning text sent before the answer
//   steps           the whole list by hand, e.g. [{text:'a'}, {sleep:50}, {stall:true}, {text:'b'}]
//   usage           {prompt, completion} instead of counted values
//   finish          'stop' (default) or 'length'
//   json            'plain', 'go' or 'ascii' (see json.mjs) instead of the format's own habit
//
// Time
//   headDelay       ms before the status line
//   delay           ms before every token
//   stall           'head': never answers; k: sends k tokens, then waits for request.release()
//
// How bytes leave
//   split           'frame' (default: one write per line or event), 'whole' (everything in one write),
//                   n (n body bytes a write), or [offsets] in the body
//   wire            n: n bytes a write of the raw wire, so that status line, headers and chunk sizes
//                   are split too; the connection closes at the end
//   gap             ms between those writes
//
// Misbehaviour
//   status, body, headers   answers with this HTTP status; body is text or an object, default the
//                   format's own error shape
//   error           {after:k, message, status}: the format's error line after k tokens, then the end
//   malformed       {after:k, line}: a broken line after k tokens; goes on after it
//   drop            k: closes the TCP connection after k tokens;  dropBytes: after n body bytes
//   reset           with drop: RST instead of FIN
//   done            false: ends without the final line
//   endless         true: repeats the tokens until the client leaves

const word = /\s*\S+\s*$|\s*\S+/gu;

const CUTS = {
    word: (text) => text.match(word) ?? (text === '' ? [] : [text]),
    char: (text) => Array.from(text),
    unit: (text) => text.split(''),
};

export function cutText(text, cut = 'word') {
    if (typeof cut === 'function') return cut(text);
    if (typeof cut === 'string') {
        if (!CUTS[cut]) throw new Error(`script.cut: unknown way to cut '${cut}'`);
        return CUTS[cut](text);
    }
    const characters = Array.from(text);
    const tokens = [];
    for (let at = 0; at < characters.length; at += cut) tokens.push(characters.slice(at, at + cut).join(''));
    return tokens;
}

/** [{at, step}] of the things that happen after so many tokens. */
function interruptions(script) {
    const list = [];
    if (Number.isInteger(script.stall)) list.push({ at: script.stall, step: { stall: true } });
    if (script.malformed)
        list.push({ at: script.malformed.after ?? 0, step: { malformed: script.malformed.line ?? true } });
    if (script.error) list.push({ at: script.error.after ?? 0, step: { error: script.error } });
    if (script.drop !== undefined) list.push({ at: script.drop, step: { drop: true } });
    return list;
}

function compile(script) {
    const tokens = script.tokens ?? cutText(script.text ?? '', script.cut);
    const steps = cutText(script.thinking ?? '', script.cut).map((thinking) => ({ thinking }));
    const said = tokens.map((text) => ({ text }));
    const marks = interruptions(script);
    const beyond = marks.find((mark) => mark.at > said.length);
    if (beyond && !script.endless)
        throw new Error(`script: a step after ${beyond.at} tokens, but there are only ${said.length}`);
    if (script.endless) return { steps, loop: said, marks };
    for (let at = 0; at <= said.length; at++) {
        steps.push(...marks.filter((mark) => mark.at === at).map((mark) => mark.step));
        if (at < said.length) steps.push(said[at]);
    }
    return { steps };
}

/** The steps of an endless script: the loop's tokens forever, interrupted where marked. */
function* endlessly(steps, loop, marks) {
    yield* steps;
    for (let sent = 0; ; sent++) {
        for (const mark of marks) if (mark.at === sent) yield mark.step;
        yield loop[sent % loop.length];
    }
}

const FIELDS = new Set([
    'text',
    'cut',
    'tokens',
    'thinking',
    'steps',
    'usage',
    'finish',
    'json',
    'headDelay',
    'delay',
    'stall',
    'split',
    'wire',
    'gap',
    'status',
    'body',
    'headers',
    'error',
    'malformed',
    'drop',
    'dropBytes',
    'reset',
    'done',
    'endless',
]);

/** Text or script -> script with `iterate()`; throws on a field that does not exist. */
export function makeScript(reply) {
    const script = typeof reply === 'string' ? { text: reply } : { ...reply };
    for (const field of Object.keys(script))
        if (!FIELDS.has(field)) throw new Error(`script: there is no field '${field}'`);
    const { steps, loop, marks } = script.steps ? { steps: script.steps } : compile(script);
    if (loop && loop.length === 0) throw new Error('script: endless needs at least one token');
    script.iterate = () => (loop ? endlessly(steps, loop, marks) : steps[Symbol.iterator]());
    script.wholeText = [...steps, ...(loop ?? [])].map((step) => step.text ?? '').join('');
    script.wholeThinking = steps.map((step) => step.thinking ?? '').join('');
    return script;
}
