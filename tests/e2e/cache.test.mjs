// SPDX-License-Identifier: Apache-2.0
// Answers given again: whole and as a stream, in the caller's dialect, to the same key only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRIVERS, openaiAt } from './support/clients.mjs';
import { makeKey, startNode } from './support/node.mjs';
import { ending, world } from './support/world.mjs';

const mine = makeKey('mine');
const other = makeKey('other');
const names = ['text', 'tools', 'words', 'keys', 'fails', 'wants', 'accounts'];
const it = world(() => ({
    keys: [mine.config, other.config],
    cache: { enabled: true },
    retry: { base: '10ms', cap: '50ms' },
    prices: [{ model: 'up-*', input: '1USD', output: '1USD' }],
    models: [
        ...DRIVERS.flatMap((d) => names.map((name) => ({ name: `${name}-${d.dialect}`, targets: [`up-${d.dialect === 'openai' ? 'anthropic' : 'openai'}/${name === 'fails' ? 'fail-1-then-ok' : 'ok'}.${name}-${d.dialect}`], retries: 0, cache: true }))),
        { name: 'same', targets: ['up-openai/ok.same'], cache: true },
        { name: 'never', targets: ['up-openai/ok.never'], cache: false },
    ],
}), mine.key);

const upstream = (tag) => it.up.log.filter((r) => r.model?.endsWith(`.${tag}`)).length;

for (const client of DRIVERS) {
    const model = (name) => `${name}-${client.dialect}`;
    const ask = (name, options, key = mine.key) => client.ask(client.open(it.node.url, key), { model: model(name), turns: client.user('again'), temperature: 0, ...options });

    test(`${client.dialect}: a whole answer is given again, also as a stream`, async () => {
        const first = await ask('text', {});
        for (const stream of [false, true, true, false]) {
            const again = await ask('text', { stream });
            assert.deepEqual([again.text, again.finish, again.usage], [first.text, first.finish, first.usage], `stream: ${stream}`);
        }
        assert.equal(upstream(model('text')), 1);
    });

    test(`${client.dialect}: a stream is given again, also whole, tools included`, async () => {
        const options = { tools: true, turns: client.user('weather') };
        const first = await ask('tools', { stream: true, ...options });
        for (const stream of [true, false]) {
            const again = await ask('tools', { stream, ...options });
            assert.deepEqual(again.calls.map((c) => [c.name, c.args]), first.calls.map((c) => [c.name, c.args]));
            assert.equal(again.finish, first.finish);
        }
        assert.equal(upstream(model('tools')), 1);
    });

    test(`${client.dialect}: another question, another temperature, another key: another answer`, async () => {
        await ask('keys', {});
        await ask('keys', { turns: client.user('something else') });
        await ask('keys', { temperature: 0.5 });
        assert.equal(upstream(model('keys')), 3);
        await ask('keys', {}, other.key);
        assert.equal(upstream(model('keys')), 4, 'a key does not see what another one was told');
        await ask('keys', {}, other.key);
        assert.equal(upstream(model('keys')), 4);
    });

    test(`${client.dialect}: a failure is not kept`, async () => {
        await assert.rejects(ask('fails', {}));
        assert.equal((await ask('fails', {})).text, 'You said: again.');
        assert.equal(upstream(model('fails')), 2);
    });
}

test('hits are free and say so', async () => {
    const create = () => openaiAt(it.node.url, mine.key).chat.completions.create({ model: 'accounts-openai', messages: [{ role: 'user', content: 'x' }] }).withResponse();
    const first = await create();
    assert.equal(first.response.headers.get('x-motet-cache'), null);
    const second = await create();
    assert.equal(second.response.headers.get('x-motet-cache'), 'hit');
    assert.notEqual(first.response.headers.get('x-motet-receipt'), second.response.headers.get('x-motet-receipt'));
    const row = await it.node.row(second.response.headers.get('x-motet-receipt'));
    assert.deepEqual([row.outcome, row.cost_usd_nano], ['cache_hit', 0]);
    assert.ok((await it.node.row(first.response.headers.get('x-motet-receipt'))).cost_usd_nano > 0);
    assert.ok(await it.node.metric('motet_cache_hits_total') > 0);
});

test('cache-control: no-store and cache: false are kept to', async () => {
    const create = (model, headers) => openaiAt(it.node.url, mine.key).chat.completions.create({ model, messages: [{ role: 'user', content: 'x' }] }, { headers });
    for (let i = 0; i < 2; i++) await create('same', { 'cache-control': 'no-store' });
    assert.equal(upstream('same'), 2);
    for (let i = 0; i < 2; i++) await create('never');
    assert.equal(upstream('never'), 2);
});

test('without cache.enabled nothing is kept', async () => {
    const node = await startNode({
        endpoints: [{ name: 'up', dialect: 'openai', url: it.up.url, api_key: 'k' }], models: [{ name: 'plain', targets: ['up/ok.plain'] }],
    });
    try {
        for (let i = 0; i < 2; i++) await openaiAt(node.url).chat.completions.create({ model: 'plain', messages: [{ role: 'user', content: 'x' }] });
        assert.equal(upstream('plain'), 2);
    } finally { await node.stop(); }
});

ending(it);
