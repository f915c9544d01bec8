// SPDX-License-Identifier: MIT
//
// JSON web tokens by hand (node:crypto only), the right ones and every wrong kind.

import { createHmac, generateKeyPairSync, randomBytes, randomUUID, sign as signWithKey } from 'node:crypto';

const HASHES = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' };

const part = (value) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export const now = () => Math.floor(Date.now() / 1000);

export function signHmac(payload, secret, { alg = 'HS256', header = {} } = {}) {
    const text = `${part({ alg, typ: 'JWT', ...header })}.${part(payload)}`;
    return `${text}.${createHmac(HASHES[alg], secret).update(text).digest('base64url')}`;
}

function signRsa(payload) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(payload)}`;
    return `${text}.${signWithKey('sha256', Buffer.from(text), privateKey).toString('base64url')}`;
}

/** The payload of a token, unverified. */
export function decode(token) {
    return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString('utf8'));
}

/** The claims Directus puts into an access token. */
export function directusClaims(id, extra = {}) {
    const iat = now();
    return {
        id,
        role: randomUUID(),
        app_access: true,
        admin_access: false,
        iat,
        exp: iat + 900,
        iss: 'directus',
        ...extra,
    };
}

export function directusToken(id, secret, extra = {}) {
    return signHmac(directusClaims(id, extra), secret);
}

export function without(claims, name) {
    const { [name]: gone, ...rest } = claims;
    return rest;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** `token` with the character at `at` changed so that significant bits change. */
function changedAt(token, at) {
    if (token[at] === '.') return `${token.slice(0, at)}A${token.slice(at + 1)}`;
    const flipped = ALPHABET[ALPHABET.indexOf(token[at]) ^ 0x20];
    return token.slice(0, at) + flipped + token.slice(at + 1);
}

/** One token for every position of `token`, with the character there changed. */
export function tampered(token) {
    return Array.from(token, (c, at) => ({ name: `byte ${at} changed`, token: changedAt(token, at) }));
}

/** Same signature bits, other padding bits: not what a signer writes. */
function uncanonical(token) {
    const last = ALPHABET.indexOf(token.at(-1));
    return token.slice(0, -1) + ALPHABET[last ^ 1];
}

function wrongAlgorithms(claims, secret) {
    const good = signHmac(claims, secret);
    const [head, body, signature] = good.split('.');
    return [
        ['HS384', signHmac(claims, secret, { alg: 'HS384' })],
        ['HS512', signHmac(claims, secret, { alg: 'HS512' })],
        ['RS256', signRsa(claims)],
        ['RS256 in the header of an HMAC', signHmac(claims, secret, { header: { alg: 'RS256' } })],
        ['HS384 in the header of an HS256', signHmac(claims, secret, { header: { alg: 'HS384' } })],
        ['none, unsigned', `${part({ alg: 'none', typ: 'JWT' })}.${body}.`],
        ['none, with a signature', `${part({ alg: 'none', typ: 'JWT' })}.${body}.${signature}`],
        ['None, in other letters', `${part({ alg: 'nOnE', typ: 'JWT' })}.${body}.`],
        ['lower-case hs256', signHmac(claims, secret, { header: { alg: 'hs256' } })],
        ['alg missing', `${part({ typ: 'JWT' })}.${body}.${signature}`],
        ['alg is a number', signHmac(claims, secret, { header: { alg: 256 } })],
        ['no signature, two parts', `${head}.${body}`],
        ['empty signature', `${head}.${body}.`],
    ];
}

function wrongClaims(id, secret) {
    const claims = directusClaims(id);
    const iat = now();
    const signed = (payload) => signHmac(payload, secret);
    return [
        ['expired', signed({ ...claims, iat: iat - 1800, exp: iat - 900 })],
        ['expired a second ago', signed({ ...claims, exp: iat - 1 })],
        ['exp missing', signed(without(claims, 'exp'))],
        ['exp null', signed({ ...claims, exp: null })],
        ['exp is text', signed({ ...claims, exp: String(iat + 900) })],
        ['exp negative', signed({ ...claims, exp: -1 })],
        [
            'exp overflows to the past',
            signHmac(JSON.stringify(claims).replace(/"exp":\d+/, `"exp":18446744073709551616${iat}`), secret),
        ],
        ['iat two minutes in the future', signed({ ...claims, iat: iat + 120 })],
        ['iat a day in the future', signed({ ...claims, iat: iat + 86_400, exp: iat + 90_000 })],
        ['iss missing', signed(without(claims, 'iss'))],
        ['iss wrong', signed({ ...claims, iss: 'elsewhere' })],
        ['iss in other letters', signed({ ...claims, iss: 'Directus' })],
        ['iss a list that holds directus', signed({ ...claims, iss: ['directus'] })],
        ['share claim', signed({ ...claims, share: randomUUID() })],
        [
            'share claim with a scope',
            signed({ ...claims, share: randomUUID(), share_scope: { collection: 'media_jobs', item: 1 } }),
        ],
        ['session that does not live', signed({ ...claims, session: randomBytes(32).toString('base64url') })],
        ['id missing', signed(without(claims, 'id'))],
        ['id null', signed({ ...claims, id: null })],
        ['id a number', signed({ ...claims, id: 1 })],
        ['id a list', signed({ ...claims, id: [id] })],
        ['id not a UUID', signed({ ...claims, id: 'admin' })],
        ['id a UUID and more', signed({ ...claims, id: `${id}' OR '1'='1` })],
        ['id with a NUL after it', signed({ ...claims, id: `${id}\0` })],
        ['id of nobody', signed({ ...claims, id: randomUUID() })],
        ['payload an array', signed([claims])],
        ['payload a string', signHmac('"directus"', secret)],
        ['payload empty', signHmac('', secret)],
        ['payload not JSON', signHmac('{"id":', secret)],
        ['payload with bytes that are not UTF-8', rawPayload(claims, secret)],
        ['payload nested 5,000 deep', signHmac(`{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`, secret)],
    ];
}

function rawPayload(claims, secret) {
    const bytes = Buffer.concat([
        Buffer.from(JSON.stringify(claims).slice(0, -1)),
        Buffer.from([0x2c, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
    ]);
    const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${bytes.toString('base64url')}`;
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

function wrongKeys(claims, secret) {
    return [
        ['another key', signHmac(claims, randomBytes(32).toString('hex'))],
        ['empty key', signHmac(claims, '')],
        ['a key that begins like ours', signHmac(claims, secret.slice(0, -1))],
        ['our key and more', signHmac(claims, `${secret}x`)],
    ];
}

const SIZE = 15 * 1024;

function wrongShapes(claims, secret) {
    const good = signHmac(claims, secret);
    const padded = { ...claims, pad: '' };
    padded.pad = 'p'.repeat(Math.floor(((SIZE - signHmac(padded, 'x').length) * 3) / 4) - 2);
    return [
        ['one dot', '.'],
        ['two dots', '..'],
        ['one letter', 'x'],
        ['four parts', `${good}.${good.split('.')[2]}`],
        ['signature encoded otherwise', uncanonical(good)],
        ['standard base64 with padding', `${good}=`],
        ['percent signs', good.replace('.', '%2e')],
        ['a letter before it', `x${good}`],
        ['15 KiB of letters', randomBytes(SIZE).toString('base64url').slice(0, SIZE)],
        ['15 KiB of dots', '.'.repeat(SIZE)],
        ['15 KiB, signed with another key', signHmac(padded, 'another key')],
    ];
}

/** [{name, token}]: all that must be refused, for the Directus user `id` and the key `secret`. */
export function wrongTokens(id, secret) {
    const claims = directusClaims(id);
    return [
        ...wrongAlgorithms(claims, secret),
        ...wrongClaims(id, secret),
        ...wrongKeys(claims, secret),
        ...wrongShapes(claims, secret),
    ].map(([name, token]) => ({ name, token }));
}
