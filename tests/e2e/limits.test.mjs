// SPDX-License-Identifier: Apache-2.0
// Who may ask, how much they may spend, and what is written down about it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRIVERS, anthropicAt, driver, geminiAt, ollamaAt, openaiAt } from './support/clients.mjs';
import { makeKey, until } from './support/node.mjs';
import { LOCAL, ending, world } from './support/world.mjs';

const INPUT_USD = 1;
const OUTPUT_USD = 2; // per million tokens
const keys = {
    plain: makeKey('plain'),
    narrow: makeKey('narrow', { models: ['up-openai/ok*', 'alias'] }),
    twice: makeKey('twice', { limits: [{ requests: 2, per: 'minute' }] }),
    five: makeKey('five', { limits: [{ requests: 5, per: 'hour' }] }),
    tokens: makeKey('tokens', { limits: [{ tokens: 200, per: 'day' }] }),
    poor: makeKey('poor', { limits: [{ money: '0.0001USD', per: 'month' }] }),
    crowd: makeKey('crowd', { limits: [{ money: '0.001USD', per: 'ever' }] }),
};
for (const d of DRIVERS) keys[`cut-${d.dialect}`] = makeKey(`cut-${d.dialect}`, { limits: [{ money: '0.0025USD', per: 'day' }] });

const it = world(() => ({
    keys: Object.values(keys).map((k) => k.config),
    prices: [{ model: 'up-*', input: `${INPUT_USD}USD`, output: `${OUTPUT_USD}USD` }],
    models: [
        { name: 'alias', targets: ['up-openai/ok.alias'] },
        { name: 'capped', targets: ['up-openai/ok.capped'], limits: [{ requests: 1, per: 'hour' }] },
    ],
    retry: { base: '10ms', cap: '100ms' },
}), keys.plain.key);

const user = [{ role: 'user', content: 'hello' }];
const chat = (key, body) => openaiAt(it.node.url, key).chat.completions.create({ messages: user, ...body }).withResponse();
const nano = (usage) => usage.input * INPUT_USD * 1000 + usage.output * OUTPUT_USD * 1000;

/* One request per dialect, by hand: path, body, and the shape of an error. */
const WIRE = {
    openai: { path: '/v1/chat/completions', body: { model: 'up-openai/ok', messages: user }, shape: (e) => e.error.message && e.error.type },
    'openai-responses': { path: '/v1/responses', body: { model: 'up-openai/ok', input: 'x' }, shape: (e) => e.error.message && e.error.type },
    anthropic: { path: '/v1/messages', body: { model: 'up-openai/ok', messages: user, max_tokens: 20 }, shape: (e) => e.type === 'error' && e.error.type && e.error.message },
    gemini: { path: '/v1beta/models/up-openai%2Fok:generateContent', body: { contents: [{ role: 'user', parts: [{ text: 'x' }] }] }, shape: (e, status) => e.error.code === status && e.error.status && e.error.message },
    ollama: { path: '/api/chat', body: { model: 'up-openai/ok', messages: user, stream: false }, shape: (e) => typeof e.error === 'string' },
    embeddings: { path: '/v1/embeddings', body: { model: 'up-openai/ok', input: 'x' }, shape: (e) => e.error.message },
};
const post = (dialect, headers, more = {}) => fetch(it.node.url + WIRE[dialect].path + (more.query ?? ''), {
    method: 'POST', headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01', ...headers }, body: JSON.stringify({ ...WIRE[dialect].body, ...more.body }),
});
const bearer = (key) => ({ authorization: `Bearer ${key}` });

async function refused(response, dialect, status) {
    const body = await response.json();
    assert.equal(response.status, status, JSON.stringify(body));
    assert.ok(WIRE[dialect].shape(body, status), JSON.stringify(body));
    return body;
}

/* ------------------------------------------------------------------ keys */

for (const dialect of Object.keys(WIRE)) {
    test(`${dialect}: without a key, and with a wrong one: 401 in its own shape`, async () => {
        await refused(await post(dialect, {}), dialect, 401);
        await refused(await post(dialect, bearer('mk-wrong')), dialect, 401);
        await refused(await post(dialect, { 'x-api-key': 'mk-wrong' }), dialect, 401);
    });
    test(`${dialect}: the key in any of its places`, async () => {
        const { key } = keys.plain;
        for (const [headers, query] of [[bearer(key)], [{ 'x-api-key': key }], [{ 'x-goog-api-key': key }], [{}, `?key=${key}`]])
            assert.equal((await post(dialect, headers, { query })).status, 200);
    });
}

test('official clients with a key, each its own way', async () => {
    const { key } = keys.plain;
    for (const client of DRIVERS) {
        const got = await client.ask(client.open(it.node.url, key), { model: 'up-openai/ok', turns: client.user('hi'), stream: true });
        assert.equal(got.text, 'You said: hi.');
    }
    const viaToken = anthropicAt(it.node.url, null, { authToken: key });
    assert.ok(await viaToken.messages.create({ model: 'alias', messages: user, max_tokens: 9 }));
    await assert.rejects(anthropicAt(it.node.url, 'mk-no').messages.create({ model: 'alias', messages: user, max_tokens: 9 }), (e) => e.status === 401 && e.type === 'authentication_error');
    await assert.rejects(openaiAt(it.node.url, 'mk-no').models.list(), (e) => e.status === 401);
    await assert.rejects(geminiAt(it.node.url, 'mk-no').models.generateContent({ model: 'alias', contents: 'x' }), (e) => e.status === 401);
    await assert.rejects(ollamaAt(it.node.url, 'mk-no').list(), (e) => e.status_code === 401);
});

test('a key with a list of models', async () => {
    const { key } = keys.narrow;
    await chat(key, { model: 'up-openai/ok.mine' });
    await chat(key, { model: 'alias' });
    for (const model of [LOCAL, 'up-anthropic/ok', 'capped'])
        await assert.rejects(chat(key, { model }), (e) => e.status === 403 && e.message.includes(model));
    const ids = (await Array.fromAsync(await openaiAt(it.node.url, key).models.list())).map((m) => m.id);
    assert.ok(ids.includes('alias') && !ids.includes(LOCAL) && !ids.includes('capped'), ids.join());
});

test('nobody but the administrator stops the node; public paths need no key', async () => {
    for (const path of ['/motet/v1/stop', '/motet/v1/reload'])
        assert.equal((await fetch(it.node.url + path, { method: 'POST', headers: bearer(keys.plain.key) })).status, 403);
    assert.equal((await fetch(`${it.node.url}/healthz`)).status, 200);
    assert.equal(await (await fetch(it.node.url)).text(), 'Ollama is running');
    assert.equal((await fetch(`${it.node.url}/metrics`)).status, 401);
});

test('a web page elsewhere is refused', async () => {
    const { key } = keys.plain;
    assert.equal((await post('openai', { ...bearer(key), origin: 'https://evil.example' })).status, 403);
    assert.equal((await post('openai', { ...bearer(key), origin: 'http://localhost:3000' })).status, 200);
});

/* ------------------------------------------------------------------ limits */

test('requests per minute: the third is a 429 that says when', async () => {
    const { key } = keys.twice;
    await chat(key, { model: 'up-openai/ok' });
    await chat(key, { model: 'up-anthropic/ok' });
    await assert.rejects(chat(key, { model: 'up-openai/ok' }), (e) => {
        const seconds = Number(e.headers.get('retry-after'));
        return e.status === 429 && seconds >= 1 && seconds <= 64 && /requests per minute/.test(e.message) && /twice/.test(e.message);
    });
    for (const dialect of Object.keys(WIRE)) await refused(await post(dialect, bearer(key)), dialect, 429);
});

test('a limit holds when all come at once', async () => {
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => chat(keys.five.key, { model: 'up-openai/slow-50' })));
    assert.equal(all.filter((r) => r.status === 'fulfilled').length, 5);
    assert.ok(all.filter((r) => r.status === 'rejected').every((r) => r.reason.status === 429));
});

test('a model has limits of its own', async () => {
    await chat(keys.plain.key, { model: 'capped' });
    await assert.rejects(chat(keys.plain.key, { model: 'capped' }), (e) => e.status === 429 && /capped/.test(e.message));
    await chat(keys.plain.key, { model: 'alias' });
});

test('tokens per day', async () => {
    const { key } = keys.tokens;
    let ok = 0;
    for (let i = 0; i < 12; i++) {
        try { await chat(key, { model: 'up-openai/words-20', max_tokens: 30 }); ok++; } catch (e) { assert.equal(e.status, 429); }
    }
    assert.ok(ok >= 2 && ok < 12, `${ok}`);
    const rows = await until(() => { const r = it.node.rows("key = 'tokens' AND outcome = 'ok'"); return r.length === ok && r; }, 'rows');
    assert.ok(rows.reduce((sum, r) => sum + r.input_n + r.output_n, 0) <= 200);
});

test('money: a spent budget is a 402 in every dialect, on every endpoint', async () => {
    const { key } = keys.poor;
    for (let i = 0; i < 40; i++)
        try { await chat(key, { model: 'up-openai/ok', max_tokens: 10 }); } catch (e) { assert.equal(e.status, 402); break; }
    await assert.rejects(chat(key, { model: 'up-openai/ok', max_tokens: 50 }),
        (e) => e.status === 402 && /budget/.test(e.message) && /USD/.test(e.message) && e.headers.get('x-should-retry') === 'false');
    for (const dialect of Object.keys(WIRE)) {
        const body = dialect === 'embeddings' ? { input: 'x'.repeat(4000) } : {};
        const error = await refused(await post(dialect, bearer(key), { body }), dialect, 402);
        assert.match(JSON.stringify(error), /poor/);
    }
    const spent = it.node.rows("key = 'poor'").reduce((sum, r) => sum + r.cost_usd_nano, 0);
    assert.ok(spent <= 100000, `${spent} of 100000 nano-USD`);
});

test('money: many at once never pass the limit', async () => {
    const all = await Promise.allSettled(Array.from({ length: 60 }, () => chat(keys.crowd.key, { model: 'up-openai/words-30', max_tokens: 40 })));
    const ok = all.filter((r) => r.status === 'fulfilled').length;
    assert.ok(ok > 0 && ok < 60, `${ok} of 60`);
    const rows = await until(() => { const r = it.node.rows("key = 'crowd'"); return r.length === 60 && r; }, 'sixty rows');
    assert.ok(rows.reduce((sum, r) => sum + r.cost_usd_nano, 0) <= 1000000);
});

for (const client of DRIVERS)
    for (const upstream of ['openai', client.dialect].filter((x, i, all) => all.indexOf(x) === i))
        test(`${client.dialect} on ${upstream}: a budget that ends in mid-stream ends the answer cleanly`, async () => {
            const name = `cut-${client.dialect}`;
            const model = `words-3000+drip-0.${client.dialect}-${upstream}`;
            const left = 2500000 - it.node.rows(`key = '${name}'`).reduce((sum, r) => sum + r.cost_usd_nano, 0);
            const asked = client.ask(client.open(it.node.url, keys[name].key), {
                model: `up-${upstream}/${model}`, turns: client.user('x'), stream: true, ...(client.dialect === 'anthropic' && { maxTokens: 100000 }),
            });
            if (client.dialect === 'anthropic' || left < 2100000) { // it names its maximum: too much is refused at once
                await assert.rejects(asked, (e) => (e.status ?? e.status_code) === 402);
                return;
            }
            const got = await asked;
            const words = got.text.trim().split(' ').length;
            assert.equal(got.finish, client.finish.length);
            assert.ok(words >= 900 && words < 1300, `${words} words`);
            const row = await until(() => it.node.rows(`model_asked = 'up-${upstream}/${model}'`)[0], 'its row');
            assert.equal(row.outcome, 'budget_cut');
            assert.ok(row.cost_usd_nano <= left, `${row.cost_usd_nano} of ${left}`);
            assert.ok(row.output_n >= words);
        });

/* ------------------------------------------------------------------ accounts */

test('a cost header and a row say the same', async () => {
    const { response } = await chat(keys.plain.key, { model: 'up-openai/words-25.cost' });
    const { usage } = it.up.find('words-25.cost')[0];
    const row = await it.node.row(response.headers.get('x-motet-receipt'));
    assert.equal(row.cost_usd_nano, nano(usage));
    assert.equal(Math.round(Number(response.headers.get('x-motet-cost')) * 1e9), nano(usage));
    assert.deepEqual([row.key, row.dialect, row.endpoint, row.outcome, row.http_status, row.input_n, row.output_n],
        ['plain', 'openai', 'up-openai', 'ok', 200, usage.input, usage.output]);
});

test('every stream is accounted, in every pair of dialects', async () => {
    for (const client of DRIVERS)
        for (const upstream of DRIVERS) {
            const model = `words-12.acc-${client.dialect}`;
            await client.ask(client.open(it.node.url, keys.plain.key), { model: `up-${upstream.dialect}/${model}`, turns: client.user('x'), stream: true });
            const row = await until(() => it.node.rows(`model_asked = 'up-${upstream.dialect}/${model}'`)[0], 'its row');
            const { usage } = it.up.find(model).at(-1);
            assert.deepEqual([row.outcome, row.input_n, row.output_n, row.cost_usd_nano], ['ok', usage.input, usage.output, nano(usage)], `${client.dialect} on ${upstream.dialect}`);
        }
});

test('exactly one row per request, whatever way it ended', async () => {
    const key = keys.plain.key;
    const gone = new AbortController();
    const ways = [
        ['ok', () => chat(key, { model: 'up-openai/ok.one' })],
        ['ok', () => driver('anthropic').ask(anthropicAt(it.node.url, key), { model: 'up-gemini/ok.one', turns: user, stream: true })],
        ['ok', () => chat(key, { model: LOCAL, max_tokens: 4 })],
        ['ok', () => openaiAt(it.node.url, key).embeddings.create({ model: LOCAL, input: 'x' })],
        ['ok', () => openaiAt(it.node.url, key).embeddings.create({ model: 'up-gemini/ok', input: 'x' })],
        ['upstream_error', () => chat(key, { model: 'up-openai/fail-500.one' })],
        ['upstream_error', () => driver('openai').ask(openaiAt(it.node.url, key), { model: 'up-anthropic/words-9+cut-3.one', turns: user, stream: true })],
        ['rejected', () => chat(key, { model: 'up-openai/fail-400.one' })],
        ['rejected', () => chat(key, { model: 'up-anthropic/ok', messages: 'none' })],
        ['rejected', () => chat(keys.twice.key, { model: 'up-openai/ok' })],
        ['rejected', () => chat(keys.poor.key, { model: 'up-openai/ok', max_tokens: 5000 })],
        ['client_gone', () => {
            it.up.until(() => it.up.find('hang.one').length === 1, 'it is upstream').then(() => gone.abort());
            return openaiAt(it.node.url, key).chat.completions.create({ model: 'up-openai/hang.one', messages: user }, { signal: gone.signal });
        }],
    ];
    const count = () => it.node.rows().length;
    const settled = async () => { await until(async () => await it.node.metric('motet_ledger_open') === 0 && await it.node.metric('motet_ledger_backlog_bytes') === 0, 'all is in the table', 10000, 50); return count(); };
    let n = await settled();
    for (const [outcome, way] of ways) {
        await way().catch(() => {});
        await until(() => count() > n, `a row: ${outcome} ${way}`);
        assert.equal(await settled(), n + 1, `${way}`);
        const row = it.node.rows('1 ORDER BY id DESC LIMIT 1').at(-1);
        const newest = it.node.rows().reduce((a, b) => (a.id > b.id ? a : b), row);
        assert.equal(newest.outcome, outcome, `${way}: ${newest.error}`);
        n++;
    }
    const receipts = it.node.rows().map((r) => r.receipt);
    assert.equal(new Set(receipts).size, receipts.length);
});

test('motet explain shows a receipt', async () => {
    const { response } = await chat(keys.plain.key, { model: 'up-openai/ok.explain' });
    const receipt = response.headers.get('x-motet-receipt');
    await it.node.row(receipt);
    const { code, out, err } = await it.node.run(['explain', receipt, '--json']);
    assert.equal(code, 0, err);
    const said = JSON.parse(out);
    assert.equal(said.receipt, receipt);
    assert.equal(said.outcome, 'ok');
    assert.match((await it.node.run(['explain', receipt])).out, /up-openai/);
    assert.notEqual((await it.node.run(['explain', 'nothing'])).code, 0);
});

test('metrics agree with the table', async () => {
    const text = await (await fetch(`${it.node.url}/metrics`, { headers: it.node.auth })).text();
    const total = text.split('\n').filter((l) => l.startsWith('motet_requests_total{')).reduce((sum, l) => sum + Number(l.split(' ').at(-1)), 0);
    await until(() => it.node.rows().length >= total, 'rows');
    assert.equal(it.node.rows().length, total);
});

ending(it);
