// SPDX-License-Identifier: Apache-2.0
// Every client dialect on every upstream dialect and on the local model, whole and as a stream:
// text, reasons to stop, usage, tools there and back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRIVERS, driver, openaiAt } from './support/clients.mjs';
import { LOCAL, ending, world } from './support/world.mjs';

const UPSTREAMS = ['openai', 'openai-responses', 'anthropic', 'gemini', 'ollama'];
const it = world();
let serial = 0;
/** A name of its own per test, so that its requests can be found upstream. */
const modelOf = (upstream, does) => {
    const name = `${does}.m${serial++}`;
    return { model: `up-${upstream}/${name}`, seen: () => it.up.find(name) };
};

function checkUsage(got, said, client, upstream) {
    assert.equal(got.usage.input, said.input, 'input tokens');
    assert.equal(got.usage.output, said.output, 'output tokens');
    if (client !== 'ollama' && upstream !== 'ollama') assert.equal(got.usage.cached, said.cached, 'cached tokens');
}

function checkCalls(calls, cities) {
    assert.deepEqual(calls.map((c) => c.name), cities.map(() => 'get_weather'));
    assert.deepEqual(calls.map((c) => c.args), cities.map((city) => ({ city })));
    const ids = calls.map((c) => c.id).filter((id) => id !== undefined);
    assert.equal(new Set(ids).size, ids.length, 'ids differ');
}

async function text(client, upstream, stream) {
    const { model, seen } = modelOf(upstream, 'ok');
    const got = await client.ask(client.open(it.node.url), { model, turns: client.user('hello there'), stream });
    assert.equal(got.text, 'You said: hello there.');
    assert.equal(got.finish, client.finish.stop);
    assert.equal(seen().length, 1);
    assert.equal(seen()[0].isStream || !stream, true, 'a stream is asked for as a stream');
    checkUsage(got, seen()[0].usage, client.dialect, upstream);
}

async function cutAtMaximum(client, upstream, stream) {
    const { model, seen } = modelOf(upstream, 'words-40');
    const got = await client.ask(client.open(it.node.url), { model, turns: client.user('count'), stream, maxTokens: 17 });
    assert.equal(got.finish, client.finish.length);
    assert.equal(got.text.trim().split(' ').length, 17);
    assert.equal(got.usage.output, seen()[0].usage.output);
}

async function tools(client, upstream, stream, does, cities) {
    const { model, seen } = modelOf(upstream, does);
    const at = client.open(it.node.url);
    const first = await client.ask(at, { model, turns: client.user('the weather please'), stream, tools: true });
    checkCalls(first.calls, cities);
    assert.equal(first.finish, client.finish.tool);
    checkUsage(first, seen()[0].usage, client.dialect, upstream);
    const texts = cities.map((city) => `sunny in ${city}`);
    const second = await client.ask(at, { model, turns: client.results(first.turns, first.calls, texts), stream, tools: true });
    assert.equal(seen().length, 2);
    for (const said of texts) assert.ok(second.text.includes(said), `${second.text} has no '${said}'`);
    assert.equal(second.finish, client.finish.stop);
}

for (const client of DRIVERS) {
    for (const upstream of UPSTREAMS) {
        for (const stream of [false, true]) {
            const name = `${client.dialect} on ${upstream}, ${stream ? 'stream' : 'whole'}`;
            test(`${name}: text`, () => text(client, upstream, stream));
            test(`${name}: stops at the maximum`, () => cutAtMaximum(client, upstream, stream));
            test(`${name}: a tool and back`, () => tools(client, upstream, stream, 'ok', ['Paris']));
            test(`${name}: two tools at once and back`, () => tools(client, upstream, stream, 'two', ['Paris', 'Oslo']));
        }
    }

    for (const quirk of ['noindex', 'zeroindex'])
        test(`${client.dialect}: tool deltas of an upstream with ${quirk} come out dense`, () => tools(client, 'openai', true, `two+${quirk}`, ['Paris', 'Oslo']));

    test(`${client.dialect}: usage that comes late is waited for`, () => text2(client, 'lateusage'));
    test(`${client.dialect}: usage that never comes is counted`, async () => {
        const { model } = modelOf('openai', 'words-20+nousage');
        const got = await client.ask(client.open(it.node.url), { model, turns: client.user('hello'), stream: true });
        if (client.dialect === 'openai') return; // bytes of the same dialect go through as they are
        assert.ok(got.usage.input > 0 && got.usage.output > 0, JSON.stringify(got.usage));
    });

    for (const stream of [false, true]) {
        const name = `${client.dialect} on the local model, ${stream ? 'stream' : 'whole'}`;
        test(`${name}: text`, async () => {
            const got = await client.ask(client.open(it.node.url), { model: LOCAL, turns: client.user('upper motet'), stream, temperature: 0, maxTokens: 32 });
            assert.equal(got.text, 'MOTET');
            assert.equal(got.finish, client.finish.stop);
            assert.ok(got.usage.input >= 11 && got.usage.output >= 5, JSON.stringify(got.usage));
        });
        test(`${name}: stops at the maximum`, async () => {
            const got = await client.ask(client.open(it.node.url), { model: LOCAL, turns: client.user('upper motet'), stream, temperature: 0, maxTokens: 3 });
            assert.equal(got.finish, client.finish.length);
            assert.equal(got.text, 'MOT');
            assert.equal(got.usage.output, 3);
        });
        test(`${name}: a tool and back`, () => localTools(client, stream));
    }
}

async function text2(client, does) {
    const { model, seen } = modelOf('openai', does);
    const got = await client.ask(client.open(it.node.url), { model, turns: client.user('hello'), stream: true });
    checkUsage(got, seen()[0].usage, client.dialect, 'openai');
}

async function localTools(client, stream) {
    const at = client.open(it.node.url);
    const first = await client.ask(at, {
        model: LOCAL, turns: client.user('weather'), stream, tools: true, forced: true, temperature: 0, maxTokens: 128,
    });
    if (client.dialect === 'ollama') return; // it cannot force a tool: the little model may say anything
    assert.equal(first.calls.length, 1, first.text);
    assert.equal(first.calls[0].name, 'get_weather');
    assert.ok(['Paris', 'Oslo'].includes(first.calls[0].args.city), JSON.stringify(first.calls[0].args));
    assert.equal(first.finish, client.finish.tool);
    const second = await client.ask(at, {
        model: LOCAL, turns: client.results(first.turns, first.calls, ['sunny']), stream, temperature: 0, maxTokens: 16,
    });
    assert.ok(second.usage.input > 0, JSON.stringify(second.usage));
}

test('a chat stream has no usage chunk unless it was asked for', async () => {
    for (const upstream of UPSTREAMS) {
        const { model } = modelOf(upstream, 'ok');
        const chunks = [];
        for await (const chunk of await openaiAt(it.node.url).chat.completions.create({ model, messages: driver('openai').user('x'), stream: true }))
            chunks.push(chunk);
        assert.equal(chunks.filter((c) => c.choices.length === 0).length, 0, upstream);
        assert.equal(chunks.filter((c) => c.usage).length, 0, upstream);
        assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop', upstream);
    }
});

ending(it);
