// SPDX-License-Identifier: Apache-2.0
// A client that leaves: the work upstream ends within 100 ms, wherever the request was, and its
// account is closed.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { DRIVERS, openaiAt } from './support/clients.mjs';
import { until } from './support/node.mjs';
import { LOCAL, ending, world } from './support/world.mjs';

const LIMIT_MS = 100;
const it = world(() => ({
    retry: { base: '2s', cap: '20s' },
    models: [
        { name: 'waits', targets: ['up-openai/rate-99-then-ok+retry-after-700.waits'], retries: 9 },
        { name: 'hedges', targets: ['up-openai/hang.hedges-1', 'up-anthropic/hang.hedges-2'], hedge_after: '10ms' },
    ],
}));
const user = (text) => [{ role: 'user', content: text }];
const took = [];

/** Wait until upstream noticed; the test process is both client and upstream, so one clock serves. */
async function noticed(model, leftAt) {
    const record = await it.up.until(() => it.up.find(model).find((r) => r.abortedAt), `${model} ends upstream`, 5000);
    const ms = record.abortedAt - leftAt;
    took.push(ms);
    assert.ok(ms < LIMIT_MS, `${ms.toFixed(1)} ms`);
}

const rowOf = (model) => until(() => it.node.rows(`model_asked = '${model}'`)[0], `row of ${model}`);
async function closed(model) {
    const row = await rowOf(model);
    assert.equal(row.outcome, 'client_gone');
    assert.equal(it.node.rows(`model_asked = '${model}'`).length, 1);
    await until(async () => (await it.node.status()).in_flight <= 1, 'nothing is in flight');
}

for (const client of DRIVERS.filter((d) => d.dialect !== 'ollama'))
    for (const upstream of ['openai', 'anthropic', 'ollama'])
        for (const stream of [false, true]) {
            const how = `${client.dialect} on ${upstream}, ${stream ? 'stream' : 'whole'}`;
            const tag = `${client.dialect}-${upstream}-${stream}`;

            test(`${how}: before the first byte`, async () => {
                const model = `hang.${tag}`;
                const leave = new AbortController();
                const asked = client.ask(client.open(it.node.url), { model: `up-${upstream}/${model}`, turns: client.user('x'), stream, signal: leave.signal });
                await it.up.until(() => it.up.find(model).length === 1, 'it is upstream');
                const at = performance.now();
                leave.abort();
                await assert.rejects(asked);
                await noticed(model, at);
                await closed(`up-${upstream}/${model}`);
            });
        }

for (const client of DRIVERS)
    for (const upstream of ['openai', 'anthropic', 'gemini', 'ollama', 'openai-responses'])
        test(`${client.dialect} on ${upstream}: in the middle of a stream`, async () => {
            const model = `words-200+drip-20.${client.dialect}-${upstream}`;
            const leave = new AbortController();
            const asked = client.ask(client.open(it.node.url), { model: `up-${upstream}/${model}`, turns: client.user('x'), stream: true, signal: leave.signal });
            await it.up.until(() => it.up.find(model)[0]?.chunks >= 4, 'four chunks');
            const at = performance.now();
            leave.abort();
            await asked.catch(() => {});
            await noticed(model, at);
            await closed(`up-${upstream}/${model}`);
            const row = await rowOf(`up-${upstream}/${model}`);
            assert.ok(row.output_n >= 3 && row.output_n < 100, `tokens that were made are counted: ${row.output_n}`);
        });

test('a whole answer that is awaited while the upstream streams', async () => {
    const leave = new AbortController();
    const asked = openaiAt(it.node.url).chat.completions.create({ model: 'up-ollama/words-200+drip-20.w', messages: user('x') }, { signal: leave.signal });
    await it.up.until(() => it.up.find('words-200+drip-20.w').length === 1, 'it is upstream');
    const at = performance.now();
    leave.abort();
    await assert.rejects(asked);
    await until(() => it.up.find('words-200+drip-20.w')[0].abortedAt || it.up.find('words-200+drip-20.w')[0].endedAt, 'it ends');
    const record = it.up.find('words-200+drip-20.w')[0];
    if (record.abortedAt) assert.ok(record.abortedAt - at < LIMIT_MS);
});

test('while it waits for the next try: no further try', async () => {
    const leave = new AbortController();
    const asked = openaiAt(it.node.url).chat.completions.create({ model: 'waits', messages: user('x') }, { signal: leave.signal });
    const tries = () => it.up.log.filter((r) => r.model?.endsWith('.waits')).length;
    await it.up.until(() => tries() === 1, 'the first try');
    await until(async () => (await it.node.status()).endpoints.find((e) => e.name === 'up-openai').active === 0, 'the try failed');
    leave.abort();
    await assert.rejects(asked);
    await closed('waits');
    assert.equal(tries(), 1);
});

test('a hedged request: both legs end', async () => {
    const leave = new AbortController();
    const asked = openaiAt(it.node.url).chat.completions.create({ model: 'hedges', messages: user('x') }, { signal: leave.signal });
    await it.up.until(() => it.up.find('hang.hedges-1').length + it.up.find('hang.hedges-2').length === 2, 'both are upstream');
    const at = performance.now();
    leave.abort();
    await assert.rejects(asked);
    await noticed('hang.hedges-1', at);
    await noticed('hang.hedges-2', at);
    await closed('hedges');
});

test('embeddings', async () => {
    const leave = new AbortController();
    const asked = openaiAt(it.node.url).embeddings.create({ model: 'up-openai/hang.embed', input: 'x' }, { signal: leave.signal });
    await it.up.until(() => it.up.find('hang.embed').length === 1, 'it is upstream');
    const at = performance.now();
    leave.abort();
    await assert.rejects(asked);
    await noticed('hang.embed', at);
});

test('a connection that dies without a word (reset)', async () => {
    const body = JSON.stringify({ model: 'up-openai/hang.reset', messages: user('x'), stream: true });
    const socket = net.connect(it.node.port, '127.0.0.1');
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await it.up.until(() => it.up.find('hang.reset').length === 1, 'it is upstream');
    const at = performance.now();
    socket.resetAndDestroy();
    await noticed('hang.reset', at);
});

test('in the local engine: its slot is free again within 100 ms', async () => {
    const leave = new AbortController();
    const stream = await openaiAt(it.node.url).chat.completions.create(
        { model: LOCAL, messages: user('copy abcdefghijklmnopqrstuvwxyz'), stream: true, temperature: 2, max_tokens: 400 }, { signal: leave.signal });
    let chunks = 0;
    let at;
    await assert.doesNotReject(async () => {
        for await (const _ of stream)
            if (++chunks === 3) { at = performance.now(); leave.abort(); break; }
    });
    const row = await until(() => it.node.rows(`model_asked = '${LOCAL}'`)[0], 'its row');
    assert.ok(['client_gone', 'ok'].includes(row.outcome), row.outcome);
    // the end of its account says when the engine was told, on the node's clock
    await until(async () => (await it.node.status()).in_flight <= 1, 'nothing is in flight', LIMIT_MS * 5);
    assert.ok(performance.now() - at < 2000);
});

test('thirty streams that leave at once', async () => {
    const leaves = [];
    const asked = Array.from({ length: 30 }, (_, i) => {
        const leave = new AbortController();
        leaves.push(leave);
        return openaiAt(it.node.url).chat.completions.create({ model: `up-anthropic/words-500+drip-30.many`, messages: user(`${i}`), stream: true }, { signal: leave.signal })
            .then(async (s) => { for await (const _ of s); }).catch(() => {});
    });
    await it.up.until(() => it.up.find('words-500+drip-30.many').filter((r) => r.chunks > 2).length === 30, 'thirty streams');
    const at = performance.now();
    for (const leave of leaves) leave.abort();
    await Promise.all(asked);
    await it.up.until(() => it.up.find('words-500+drip-30.many').every((r) => r.abortedAt), 'all end upstream', 5000);
    const last = Math.max(...it.up.find('words-500+drip-30.many').map((r) => r.abortedAt)) - at;
    assert.ok(last < 3 * LIMIT_MS, `${last} ms`);
    await until(() => it.node.rows(`model_asked = 'up-anthropic/words-500+drip-30.many' AND outcome = 'client_gone'`).length === 30, 'thirty rows');
});

test('how long upstream worked on after its client had left', (t) => {
    took.sort((a, b) => a - b);
    t.diagnostic(`median ${took[took.length >> 1]?.toFixed(1)} ms, worst ${took.at(-1)?.toFixed(1)} ms of ${took.length}`);
});

ending(it);
