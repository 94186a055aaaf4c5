// SPDX-License-Identifier: Apache-2.0
// Bytes that no honest client sends: refused in the dialect of the path, or the connection ends;
// the node serves on.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { openaiAt } from './support/clients.mjs';
import { world } from './support/world.mjs';

const BODY_MAX = 64 * 1024;
const it = world(() => ({ server: { header_timeout: '400ms', body_timeout: '400ms', body_max: '64KiB' } }));

/** Send bytes (or a list of [bytes, then wait ms]); read until the other side closes or falls
 *  silent after an answer. @return {text, status, body, answers} */
function raw(parts, { ms = 5000, quietMs = 150 } = {}) {
    return new Promise((resolve) => {
        const socket = net.connect(it.node.port, '127.0.0.1');
        const got = [];
        let quiet;
        const done = () => { clearTimeout(timer); clearTimeout(quiet); socket.destroy(); resolve(answerOf(Buffer.concat(got).toString('latin1'), socket)); };
        const timer = setTimeout(done, ms);
        socket.on('data', (d) => { got.push(d); clearTimeout(quiet); quiet = setTimeout(done, quietMs); });
        socket.on('error', () => {});
        socket.on('close', () => { socket.isClosed = true; done(); });
        (async () => {
            for (const part of [].concat(parts)) {
                if (typeof part === 'number') await new Promise((r) => setTimeout(r, part));
                else if (!socket.destroyed) socket.write(part);
            }
        })();
    });
}

function answerOf(text, socket) {
    const answers = text.split(/(?=HTTP\/1\.1 \d\d\d )/).filter((a) => a.startsWith('HTTP/1.1'));
    const first = answers[0] ?? '';
    const statuses = answers.map((a) => Number(a.slice(9, 12)));
    return { text, answers: answers.length, statuses, status: Number(first.slice(9, 12)) || 0, body: first.split('\r\n\r\n').slice(1).join('\r\n\r\n'), isClosed: !!socket.isClosed };
}

async function serves() {
    const answer = await openaiAt(it.node.url).chat.completions.create({ model: 'up-openai/ok', messages: [{ role: 'user', content: 'still there?' }] });
    assert.equal(answer.choices[0].message.content, 'You said: still there?.');
}

const SHAPES = {
    '/v1/chat/completions': (b) => b.error.message && b.error.type,
    '/v1/responses': (b) => b.error.message && b.error.type,
    '/v1/messages': (b) => b.type === 'error' && b.error.type && b.error.message,
    '/v1beta/models/x:generateContent': (b) => b.error.code >= 400 && b.error.status && b.error.message,
    '/api/chat': (b) => typeof b.error === 'string',
};
const PATHS = Object.keys(SHAPES);
const shaped = (path, got) => {
    let body;
    try { body = JSON.parse(got.body); } catch { assert.fail(`no JSON in the dialect of ${path}: ${got.text.slice(0, 300)}`); }
    assert.ok(SHAPES[path](body), `${path}: ${got.body}`);
};
const head = (path, lines) => `POST ${path} HTTP/1.1\r\n${lines.map((l) => `${l}\r\n`).join('')}\r\n`;
const HOST = 'Host: 127.0.0.1';
const JSON_TYPE = 'Content-Type: application/json';
const small = '{"model":"up-openai/ok","messages":[{"role":"user","content":"x"}]}';
const request = (path, body) => Buffer.concat([Buffer.from(head(path, [HOST, JSON_TYPE, `Content-Length: ${Buffer.byteLength(body)}`])), Buffer.from(body)]);

/* ------------------------------------------------------------------ framing */

const smuggled = `POST /v1/chat/completions HTTP/1.1\r\n${HOST}\r\nContent-Length: ${small.length}\r\n\r\n${small}`;
const FRAMING = {
    'Content-Length and Transfer-Encoding': [HOST, 'Content-Length: 5', 'Transfer-Encoding: chunked'],
    'two lengths that differ': [HOST, 'Content-Length: 5', 'Content-Length: 6'],
    'a length with a sign': [HOST, 'Content-Length: +5'],
    'a negative length': [HOST, 'Content-Length: -5'],
    'a length in hexadecimal': [HOST, 'Content-Length: 0x5'],
    'a list of lengths': [HOST, 'Content-Length: 5, 6'],
    'a length beyond 64 bits': [HOST, 'Content-Length: 99999999999999999999999'],
    'an unknown transfer coding': [HOST, 'Transfer-Encoding: xchunked'],
    'chunked not last': [HOST, 'Transfer-Encoding: chunked, identity'],
    'transfer coding twice': [HOST, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
    'a folded line': [HOST, 'X-A: b', ' c', 'Content-Length: 0'],
    'a space before the colon': [HOST, 'Content-Length : 5'],
    'a line without a colon': [HOST, 'nonsense', 'Content-Length: 0'],
    'a NUL in a value': [HOST, 'X-A: a\0b', 'Content-Length: 0'],
    'no Host': ['Content-Length: 0'],
    'two Hosts': [HOST, 'Host: other', 'Content-Length: 0'],
};

// The HTTP library cannot read these at all and says so with a page of its own.
const UNREADABLE = ['a length with a sign', 'a negative length', 'a length in hexadecimal', 'a list of lengths', 'a length beyond 64 bits', 'a line without a colon'];

for (const [name, lines] of Object.entries(FRAMING))
    test(`framing: ${name}`, async () => {
        for (const path of ['/v1/chat/completions', '/v1/messages', '/api/chat']) {
            const before = it.up.log.length;
            const got = await raw(head(path, lines) + `0\r\n\r\n${smuggled}`);
            assert.ok(got.statuses.every((s) => (s >= 400 && s < 500) || s === 501), `${path}: ${got.text}`);
            assert.ok(got.isClosed, 'the connection ends');
            if (got.status !== 0 && !UNREADABLE.includes(name)) shaped(path, got);
            assert.equal(it.up.log.length, before, 'nothing smuggled reached the upstream');
            await serves();
        }
    });

const CHUNKS = {
    'a size that is none': 'zz\r\nhello\r\n0\r\n\r\n',
    'a size beyond 64 bits': 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n',
    'a negative size': '-5\r\nhello\r\n0\r\n\r\n',
    'a chunk longer than its size': '3\r\nhello\r\n0\r\n\r\n',
};
for (const [name, body] of Object.entries(CHUNKS))
    test(`chunks: ${name}`, async () => {
        const before = it.up.log.length;
        const got = await raw(head('/v1/chat/completions', [HOST, 'Transfer-Encoding: chunked']) + body + smuggled);
        assert.ok(got.answers <= 1, got.text);
        assert.ok(got.status === 0 || (got.status >= 400 && got.status < 500), got.text.slice(0, 200));
        assert.equal(it.up.log.length, before, 'nothing smuggled reached the upstream');
        await serves();
    });

const LINES = {
    'no request line': '\r\n\r\n\r\n\r\nhello\r\n\r\n',
    'a TLS hello': Buffer.from('16030100c8010000c40303', 'hex'),
    'HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'HTTP/3.0': `GET /v1/models HTTP/3.0\r\n${HOST}\r\n\r\n`,
    'a path of 100 kB': `GET /${'a'.repeat(100000)} HTTP/1.1\r\n${HOST}\r\n\r\n`,
    'one header of 1 MB': `GET /v1/models HTTP/1.1\r\n${HOST}\r\nX-A: ${'a'.repeat(1 << 20)}\r\n\r\n`,
    '20,000 headers': `GET /v1/models HTTP/1.1\r\n${HOST}\r\n${'X-A: b\r\n'.repeat(20000)}\r\n`,
    'dots in the path': `GET /../../etc/passwd HTTP/1.1\r\n${HOST}\r\n\r\n`,
    'a method nobody knows': `BREW /v1/models HTTP/1.1\r\n${HOST}\r\n\r\n`,
};
for (const [name, bytes] of Object.entries(LINES))
    test(`head: ${name}`, async () => {
        const got = await raw(bytes, { ms: 3000 });
        assert.ok(got.status === 0 || got.status >= 400, got.text.slice(0, 200));
        await serves();
    });

/* ------------------------------------------------------------------ time and size */

test('a header that does not come to its end', async () => {
    const from = performance.now();
    const got = await raw(`POST /v1/messages HTTP/1.1\r\n${HOST}\r\nX-A: `, { ms: 4000 });
    assert.ok(got.isClosed || got.status === 408, 'the connection is ended');
    assert.ok(performance.now() - from < 2500, `${performance.now() - from} ms`);
    await serves();
});

test('a header that drips', async () => {
    const drip = [`POST /v1/messages HTTP/1.1\r\n${HOST}\r\n`];
    for (let i = 0; i < 30; i++) drip.push('X-A: b\r\n', 100);
    const from = performance.now();
    const got = await raw(drip, { ms: 4000 });
    assert.ok(got.isClosed || got.status === 408);
    assert.ok(performance.now() - from < 2500);
    await serves();
});

test('a body that does not come', async () => {
    for (const path of PATHS) {
        const from = performance.now();
        const got = await raw(head(path, [HOST, JSON_TYPE, 'Content-Length: 100']) + '{"model"', { ms: 4000 });
        assert.ok(got.isClosed || got.status === 408, `${path}: ${got.text}`);
        if (got.status) shaped(path, got);
        assert.ok(performance.now() - from < 2500);
    }
    await serves();
});

test('five hundred connections that say nothing do not keep others out', async () => {
    const sockets = Array.from({ length: 500 }, () => { const s = net.connect(it.node.port, '127.0.0.1'); s.on('error', () => {}); return s; });
    await serves();
    for (const s of sockets) s.destroy();
});

for (const path of PATHS) {
    test(`${path}: a body over the limit`, async () => {
        const got = await raw([head(path, [HOST, JSON_TYPE, `Content-Length: ${BODY_MAX + 1}`]), 'x'.repeat(BODY_MAX + 1)]);
        assert.equal(got.status, 413, got.text.slice(0, 200));
        shaped(path, got);
        const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`;
        const chunked = await raw(head(path, [HOST, JSON_TYPE, 'Transfer-Encoding: chunked']) + chunk.repeat(20) + '0\r\n\r\n');
        assert.ok([413, 0].includes(chunked.status), chunked.text.slice(0, 200));
        if (chunked.status) shaped(path, chunked);
        await serves();
    });

    test(`${path}: bodies that are not right`, async () => {
        const cut = small.slice(0, -10);
        for (const [name, body] of [
            ['nothing', ''], ['no JSON', 'hello'], ['cut', cut], ['a tail', `${small} x`], ['a list', '[]'], ['a number', '7'],
            ['invalid UTF-8', Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xff, 0xfe, 0xc0, 0x80]), Buffer.from('"}')])],
            ['half a surrogate pair', '{"model":"\\ud800","messages":[]}'],
            ['a NUL', '{"model":"a\0b"}'],
            ['deep lists', '['.repeat(30000)],
            ['deep objects', '{"a":'.repeat(10000)],
            ['deep and closed', `{"messages":${'['.repeat(5000)}${']'.repeat(5000)}}`],
            ['a huge number', '{"model":"up-openai/ok","max_tokens":1e999,"options":{"num_predict":1e999},"messages":[{"role":"user","content":"x"}]}'],
            ['messages of a wrong kind', '{"model":"up-openai/ok","messages":{"a":1},"contents":7,"input":7,"max_tokens":"x"}'],
        ]) {
            const got = await raw(request(path, body), { quietMs: 60 });
            assert.ok(got.status >= 400 && got.status < 500, `${name}: ${got.text.slice(0, 300)}`);
            shaped(path, got);
        }
        await serves();
    });
}

test('paths and methods that are not there', async () => {
    for (const [method, path, status] of [['GET', '/v1/chat/completions', 405], ['POST', '/v1/nothing', 404], ['GET', '/api/nothing', 404], ['DELETE', '/v1/messages', 405], ['GET', '/v1beta/nothing', 404]]) {
        const answer = await fetch(it.node.url + path, { method });
        assert.equal(answer.status, status, `${method} ${path}`);
        assert.match(answer.headers.get('content-type'), /json/);
        await answer.json();
    }
});

test('two requests in one packet are two answers, in order', async () => {
    const got = await raw(Buffer.concat([request('/v1/chat/completions', small), request('/v1/chat/completions', small)]), { quietMs: 400 });
    assert.equal(got.answers, 2, got.text);
});

test('a client that asks to be told before it sends (Expect)', async () => {
    const got = await raw([head('/v1/chat/completions', [HOST, JSON_TYPE, `Content-Length: ${small.length}`, 'Expect: 100-continue']), 100, small], { quietMs: 500 });
    assert.match(got.text, /HTTP\/1\.1 100/);
    assert.match(got.text, /HTTP\/1\.1 200/);
});

test('the node ends cleanly', () => it.node.stop());
