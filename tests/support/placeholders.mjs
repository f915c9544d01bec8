// SPDX-License-Identifier: MIT
//
// Compares an answer with one that a book prints. What is printed must come, and nothing else, but for:
//
//     "<uuid>" "<time>" "<number>" "<token>" "<text>"    any of that kind; also within a text
//     "$NAME"                     what comes gets that name, and must be the same wherever the name comes again
//     "…" last in a list, "…": "…" last in an object, a line … in a text, … at the end of a text
//                                 more was left out there

const GAP = '…';
const KINDS = {
    uuid: '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}',
    time: '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?Z',
    number: '-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?',
    token: '\\S+',
    text: '[^]+',
};

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const shown = (value) => JSON.stringify(value)?.slice(0, 300);

export class Placeholders {
    /** names: what is known by name already, {NAME: value}; what answers bring is added. */
    constructor(names = {}) {
        this.names = names;
    }

    /** Throws where the value isn't what is printed; `at` says where that is. */
    json(printed, value, at = 'the answer') {
        if (Array.isArray(printed)) this.#list(printed, value, at);
        else if (printed && typeof printed === 'object') this.#object(printed, value, at);
        else if (printed === '<number>') this.#must(typeof value === 'number', printed, value, at);
        else if (typeof printed !== 'string') this.#must(printed === value, printed, value, at);
        else this.#must(typeof value === 'string' && this.#fits(printed, value), printed, value, at);
    }

    /** The same with text, line by line; what stands behind "data: " is JSON. */
    text(printed, value) {
        const lines = value.split('\n');
        const parts = [[]];
        for (const line of printed.split('\n')) line === GAP ? parts.push([]) : parts.at(-1).push(line);
        let from = 0;
        parts.forEach((part, i) => {
            const last = i === parts.length - 1;
            if (last && i > 0) from = Math.max(from, lines.length - part.length);
            const at = i === 0 || last ? from : this.#find(part, lines, from);
            part.forEach((line, k) => this.#line(line, lines[at + k] ?? '', `line ${at + k + 1}`));
            from = at + part.length;
        });
        this.#must(parts.at(-1).length === 0 || from === lines.length, GAP, lines.slice(from), 'the end');
    }

    #find(part, lines, from) {
        for (let at = from; at + part.length <= lines.length; at++)
            if (part.every((line, k) => this.#lineFits(line, lines[at + k]))) return at;
        throw new Error(`nowhere behind line ${from}: ${part.join('\n')}`);
    }

    #lineFits(printed, line) {
        const names = { ...this.names };
        try {
            this.#line(printed, line, '');
            return true;
        } catch {
            this.names = names;
            return false;
        }
    }

    #line(printed, line, at) {
        if (!printed.startsWith('data: ') || !line.startsWith('data: '))
            return this.#must(this.#fits(printed, line), printed, line, at);
        this.json(JSON.parse(printed.slice(6)), JSON.parse(line.slice(6)), at);
    }

    #list(printed, value, at) {
        const open = printed.at(-1) === GAP;
        const items = open ? printed.slice(0, -1) : printed;
        this.#must(Array.isArray(value), printed, value, at);
        this.#must(open ? value.length >= items.length : value.length === items.length, printed, value, at);
        items.forEach((item, i) => this.json(item, value[i], `${at}[${i}]`));
    }

    #object(printed, value, at) {
        const { [GAP]: open, ...members } = printed;
        this.#must(value !== null && typeof value === 'object' && !Array.isArray(value), printed, value, at);
        const missing = Object.keys(members).filter((name) => !Object.hasOwn(value, name));
        const more = open ? [] : Object.keys(value).filter((name) => !Object.hasOwn(members, name));
        this.#must(missing.length === 0 && more.length === 0, { missing, more }, value, at);
        for (const [name, member] of Object.entries(members)) this.json(member, value[name], `${at}.${name}`);
    }

    #must(good, printed, value, at) {
        if (!good) throw new Error(`${at}: printed is ${shown(printed)}, but it is ${shown(value)}`);
    }

    /** Whether a text is what is printed; names it brings are kept. */
    #fits(printed, value) {
        const brought = [];
        const pattern = printed
            .split(/(<\w+>|\$[A-Z][A-Z_]*|…$)/)
            .map((part) => {
                if (part === GAP) return '[^]*';
                const kind = /^<(\w+)>$/.exec(part)?.[1];
                if (KINDS[kind]) return KINDS[kind];
                if (!/^\$[A-Z]/.test(part)) return escaped(part);
                const name = part.slice(1);
                if (this.names[name] !== undefined) return escaped(String(this.names[name]));
                if (brought.includes(name)) return `\\${brought.indexOf(name) + 1}`;
                brought.push(name);
                return '([^\\s:]+)';
            })
            .join('');
        const match = new RegExp(`^${pattern}$`).exec(value);
        if (match) brought.forEach((name, i) => (this.names[name] = match[i + 1]));
        return match !== null;
    }
}
