// SPDX-License-Identifier: Apache-2.0
// Certificates and HTTP/2: providers behind nginx, whom an authority of ours has certified, and
// the node's own listener with TLS.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { DRIVERS, anthropicAt, openaiAt } from './support/clients.mjs';
import { startNode, until } from './support/node.mjs';
import { Authority, Nginx } from './support/tls.mjs';
import { ending } from './support/world.mjs';
import { startUpstream } from './upstream.mjs';

const LIMIT_MS = 100;
const it = {};
const user = [{ role: 'user', content: 'x' }];
const endpoints = (tag, front, ca) => ['openai', 'anthropic', 'ollama']
    .map((dialect) => ({ name: `${tag}-${dialect}`, dialect, url: front.url, api_key: 'up-key', ...(ca && { ca_file: ca.file }) }));

before(async () => {
    it.ca = new Authority();
    it.other = new Authority();
    const ours = it.ca.certify('near', 'IP:127.0.0.1');
    it.up = await startUpstream();
    it.nginx = await new Nginx(it.up, { near: ours, far: it.ca.certify('far', 'DNS:far.invalid'), short: { ...ours, requests: 10 } }).start();
    const { near, far, short } = it.nginx.fronts;
    it.own = it.ca.certify('own', 'IP:127.0.0.1');
    it.node = await startNode({
        tls: it.own,
        endpoints: [
            ...endpoints('near', near, it.ca), ...endpoints('short', short, it.ca), ...endpoints('unknown', near),
            ...endpoints('other', near, it.other), ...endpoints('far', far, it.ca),
        ],
        breaker: { failures: 1000 },
    });
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), fs.readFileSync(it.ca.file, 'utf8')]);
});
after(async () => {
    if (it.node && it.node.exit === null) await it.node.kill();
    it.node?.remove();
    await it.nginx?.stop();
    await it.up?.close();
    it.ca?.remove();
    it.other?.remove();
});

const ask = (model, more = {}) => openaiAt(it.node.url).chat.completions.create({ model, messages: user, ...more });
async function textOf(stream) {
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    return text;
}
const words = (n) => Array.from({ length: n }, (_, i) => `w${i} `).join('');

/* ------------------------------------------------------------------ upstream */

for (const upstream of ['openai', 'anthropic', 'ollama'])
    for (const stream of [false, true])
        test(`${upstream} behind TLS answers over HTTP/2, ${stream ? 'streamed' : 'whole'}`, async () => {
            const before = it.nginx.answered('near').length;
            const asked = ask(`near-${upstream}/words-20`, { stream });
            const text = stream ? await textOf(await asked) : (await asked).choices[0].message.content;
            assert.equal(text, words(20));
            const line = await until(() => it.nginx.answered('near')[before], 'a line of the log');
            assert.equal(line.protocol, 'HTTP/2.0');
            assert.equal(line.status, 200);
        });

test('many requests at once share connections', async () => {
    const before = it.nginx.answered('near').length;
    const asked = Array.from({ length: 150 }, (_, i) => ask('near-openai/words-10+drip-20.many', { stream: i % 2 === 0 }));
    const texts = await Promise.all(asked.map(async (a, i) => (i % 2 === 0 ? textOf(await a) : (await a).choices[0].message.content)));
    assert.ok(texts.every((text) => text === words(10)));
    const lines = await until(() => { const l = it.nginx.answered('near').slice(before); return l.length >= 150 && l; }, 'their lines');
    assert.ok(lines.every((line) => line.protocol === 'HTTP/2.0'));
    const connections = new Set(lines.map((line) => line.connection)).size;
    assert.ok(connections <= 15, `${connections} connections`);
});

test('connections that the server ends after ten requests fail none', async () => {
    const texts = await Promise.all(Array.from({ length: 120 }, async (_, i) => textOf(await ask(`short-openai/words-3.short-${i}`, { stream: true }))));
    assert.ok(texts.every((text) => text === words(3)));
    const lines = await until(() => { const l = it.nginx.answered('short'); return l.length >= 120 && l; }, 'their lines');
    assert.ok(new Set(lines.map((line) => line.connection)).size >= 12);
    assert.equal(it.up.log.filter((r) => r.model?.startsWith('words-3.short-')).length, 120, 'none was sent twice');
});

test('a client that does not read holds up nobody else on the connection', async () => {
    const slow = await ask('near-openai/words-100000.slow', { stream: true });
    const reader = slow[Symbol.asyncIterator]();
    let text = (await reader.next()).value.choices[0].delta.content ?? '';
    let chunks = 0;
    await until(() => { const now = it.up.find('words-100000.slow')[0].chunks; const stands = now === chunks && now > 50000; chunks = now; return stands; }, 'the slow stream stands', 10000, 200);
    for (const upstream of ['openai', 'anthropic', 'ollama'])
        assert.equal(await textOf(await ask(`near-${upstream}/words-30`, { stream: true })), words(30));
    for (let next = await reader.next(); !next.done; next = await reader.next()) text += next.value.choices[0]?.delta.content ?? '';
    assert.equal(text, words(100000));
});

test('a client that does not read and then leaves', async () => {
    const leave = new AbortController();
    const slow = await openaiAt(it.node.url).chat.completions.create({ model: 'near-openai/words-100000.slow-leave', messages: user, stream: true }, { signal: leave.signal });
    await slow[Symbol.asyncIterator]().next();
    await it.up.until(() => it.up.find('words-100000.slow-leave')[0].chunks > 50000, 'much is on its way');
    leave.abort();
    const row = await until(() => it.node.rows("model_asked = 'near-openai/words-100000.slow-leave'")[0], 'its row');
    assert.equal(row.outcome, 'client_gone');
    assert.equal(await textOf(await ask('near-openai/words-30', { stream: true })), words(30));
});

test('a long prompt goes through', async () => {
    const content = 'long '.repeat(200000);
    const got = await openaiAt(it.node.url).chat.completions.create({ model: 'near-openai/words-2.long', messages: [{ role: 'user', content }] });
    assert.equal(got.choices[0].message.content, words(2));
    assert.equal(it.up.find('words-2.long')[0].body.messages[0].content, content);
});

for (const [tag, what] of [['unknown', 'an authority that nobody told of'], ['other', 'another authority than told'], ['far', 'the name of another host']])
    for (const client of DRIVERS)
        for (const stream of [false, true])
            test(`${what}: ${client.dialect}, ${stream ? 'stream' : 'whole'}, is told of the certificate`, async () => {
                const model = `${tag}-openai/words-2.refused`;
                await assert.rejects(client.ask(client.open(it.node.url), { model, turns: client.user('x'), stream }), (e) => {
                    assert.match(e.message, /certificate/);
                    assert.ok(e.message.includes(`${tag}-openai`), e.message);
                    assert.equal(e.status ?? e.status_code, 502, e.message);
                    return true;
                });
                assert.equal(it.up.find('words-2.refused').length, 0);
            });

for (const client of DRIVERS)
    for (const upstream of ['openai', 'anthropic'])
        test(`${client.dialect} leaves a stream of ${upstream}: it ends upstream within ${LIMIT_MS} ms, its neighbours go on`, async () => {
            const tag = `${client.dialect}-${upstream}`;
            const neighbour = ask(`near-${upstream}/words-40+drip-20.stay-${tag}`, { stream: true }).then(textOf);
            const model = `words-300+drip-20.leave-${tag}`;
            const leave = new AbortController();
            const asked = client.ask(client.open(it.node.url), { model: `near-${upstream}/${model}`, turns: client.user('x'), stream: true, signal: leave.signal });
            await it.up.until(() => it.up.find(model)[0]?.chunks >= 4, 'four chunks');
            const at = performance.now();
            leave.abort();
            await asked.catch(() => {});
            const record = await it.up.until(() => it.up.find(model).find((r) => r.abortedAt), 'it ends upstream', 5000);
            assert.ok(record.abortedAt - at < LIMIT_MS, `${(record.abortedAt - at).toFixed(1)} ms`);
            assert.equal(await neighbour, words(40));
            const row = await until(() => it.node.rows(`model_asked = 'near-${upstream}/${model}'`)[0], 'its row');
            assert.equal(row.outcome, 'client_gone');
        });

/* ------------------------------------------------------------------ the node's own listener */

test('the node listens with TLS, and says so', () => assert.match(it.node.url, /^https:\/\//));

for (const client of DRIVERS)
    test(`${client.dialect} over TLS: whole and streamed`, async () => {
        for (const stream of [false, true]) {
            const got = await client.ask(client.open(it.node.url), { model: 'near-openai/words-50', turns: client.user('x'), stream });
            assert.equal(got.text, words(50));
        }
    });

test('a stream comes word by word', async () => {
    const from = performance.now();
    let first;
    for await (const chunk of await ask('near-openai/words-20+drip-30.paced', { stream: true })) if (chunk.choices[0]?.delta.content) first ??= performance.now() - from;
    assert.ok(first < (performance.now() - from) / 2, `the first after ${first} ms`);
});

test('a reload drops no stream', async () => {
    const stream = ask('near-openai/words-60+drip-25.reload', { stream: true }).then(textOf);
    await it.up.until(() => it.up.find('words-60+drip-25.reload')[0]?.chunks > 3, 'the stream runs');
    it.node.signal('SIGHUP');
    await it.node.said(/ reloaded /);
    assert.equal((await ask('near-openai/ok.after')).choices[0].message.content, 'You said: x.');
    assert.equal(await stream, words(60));
});

test('commands trust the node of their own configuration', async () => {
    const listed = await it.node.run(['ps']);
    assert.equal(listed.code, 0, listed.err);
});

test('plain HTTP is refused, and the node goes on', async () => {
    await assert.rejects(fetch(it.node.url.replace('https', 'http')));
    assert.equal((await fetch(`${it.node.url}/healthz`)).status, 200);
});

test('a client that does not know the authority is refused by itself', async () => {
    const socket = tls.connect({ port: it.node.port, host: '127.0.0.1', ca: [] });
    await assert.rejects(new Promise((done, fail) => { socket.on('secureConnect', done); socket.on('error', fail); }), /certificate/);
    assert.ok((await anthropicAt(it.node.url).messages.create({ model: 'near-openai/ok', max_tokens: 9, messages: user })).content.length);
});

const up = (more) => ({ endpoints: [{ name: 'up', dialect: 'openai', url: it.up.url, ...more }] });
for (const [what, config, said] of [
    ['a certificate that is not there', () => ({ tls: { ...it.own, cert: '/no/such.pem' } }), /\/no\/such\.pem.*No such file/],
    ['a key that is not there', () => ({ tls: { ...it.own, key: '/no/such.key' } }), /\/no\/such\.key.*No such file/],
    ['a certificate that is none', () => ({ tls: { ...it.own, cert: it.own.key } }), /certificate '.*own\.key'/],
    ['a key of another certificate', () => ({ tls: { ...it.own, key: it.nginx.fronts.near.key } }), /near\.key'.*do not match/],
    ['an authority that is not there', () => up({ ca_file: '/no/ca.pem' }), /motet\.yaml:\d+:\d+: ca_file: endpoint 'up'.*\/no\/ca\.pem/],
    ['an authority that is none', () => up({ ca_file: it.own.key }), /ca_file: endpoint 'up': expected certificates/],
])
    test(`${what} is named at the start`, () => assert.rejects(startNode(config()), said));

ending(it);
