// SPDX-License-Identifier: Apache-2.0
// A new configuration while the node runs: by signal, by change of the file; a broken one is
// refused; streams go on. And the life of a node: twice, with a taken port, after a kill.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openaiAt } from './support/clients.mjs';
import { Node, makeKey, startNode, until } from './support/node.mjs';
import { ending, world } from './support/world.mjs';

const mine = makeKey('mine');
const second = makeKey('second');
const it = world(() => ({ keys: [mine.config] }), mine.key);

const user = [{ role: 'user', content: 'x' }];
const create = (model, key = mine.key) => openaiAt(it.node.url, key).chat.completions.create({ model, messages: user });
const works = (model, key) => create(model, key).then(() => true, () => false);
const alias = (name) => ({ name, targets: [`up-openai/ok.${name}`] });
const base = () => { const { listen, data_dir, discover, ...rest } = it.node.config; return rest; };

/** A stream that is under way until finish() is called for. */
async function underWay(tag) {
    const stream = await openaiAt(it.node.url, mine.key).chat.completions.create({ model: `up-anthropic/words-60+drip-25.${tag}`, messages: user, stream: true });
    let text = '';
    const done = (async () => { for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''; return text; })();
    await it.up.until(() => it.up.find(`words-60+drip-25.${tag}`)[0]?.chunks > 3, 'the stream runs');
    return done;
}
const whole = Array.from({ length: 60 }, (_, i) => `w${i} `).join('');

test('SIGHUP: a model and a key are added, a stream goes on', async () => {
    const stream = underWay('hup');
    await it.up.until(() => it.up.find('words-60+drip-25.hup')[0]?.chunks > 3, 'the stream runs');
    it.node.configure({ ...base(), keys: [mine.config, second.config], models: [alias('added')] });
    it.node.signal('SIGHUP');
    await until(() => works('added', second.key), 'the new model answers the new key');
    assert.equal(await stream, whole);
});

test('a change of the file alone is enough', async () => {
    const stream = underWay('file');
    await it.up.until(() => it.up.find('words-60+drip-25.file')[0]?.chunks > 3, 'the stream runs');
    it.node.configure({ ...base(), models: [alias('added'), alias('seen')] });
    await until(() => works('seen'), 'the new model answers');
    assert.equal(await stream, whole);
});

test('a removed key is refused from then on', async () => {
    it.node.configure({ ...base(), keys: [mine.config] });
    await until(async () => !(await works('seen', second.key)), 'the removed key is refused');
    await create('seen');
});

for (const [name, text, said] of [
    ['no YAML', 'models: [', /reload_failed.*motet\.yaml:\d+:\d+/],
    ['an unknown key', 'endpoint: []\n', /reload_failed.*endpoint.*endpoints/],
    ['a wrong unit', 'retry: {base: 5 parsecs}\n', /reload_failed.*duration.*parsecs/],
])
    test(`a broken file (${name}) is refused and the node goes on as it was`, async () => {
        const from = it.node.err.length;
        it.node.write(text);
        it.node.signal('SIGHUP');
        await until(() => said.test(it.node.err.slice(from)), () => `the node says ${said}: ${it.node.err.slice(from)}`);
        await create('seen');
        it.node.configure(base());
    });

test('what cannot be changed while running is named', async () => {
    const from = it.node.err.length;
    it.node.write(JSON.stringify({ ...it.node.config, listen: '127.0.0.1:1' }));
    it.node.signal('SIGHUP');
    await until(() => /needs_restart.*listen/.test(it.node.err.slice(from)), 'the node names the key');
    await create('seen');
    it.node.configure(base());
});

test('a hundred reloads under load: every answer is whole', async () => {
    let stop = false;
    let answers = 0;
    const load = Array.from({ length: 4 }, async () => { while (!stop) { assert.equal((await create('seen')).choices[0].message.content, 'You said: x.'); answers++; } });
    for (let i = 0; i < 100; i++) {
        it.node.signal('SIGHUP');
        await create('seen');
    }
    stop = true;
    await Promise.all(load);
    assert.ok(answers > 50, `${answers}`);
});

/* ------------------------------------------------------------------ life of a node */

test('a second node on the same data says that one is already there', async () => {
    const { code, out, err } = await it.node.run(['up', '--config', it.node.file]);
    assert.notEqual(code, 0);
    assert.match(out + err, /already/);
    assert.ok((out + err).includes(it.node.url), 'and where');
    await create('seen');
});

test('a port that is taken is named', async () => {
    const node = new Node({ listen: `127.0.0.1:${it.node.port}` }, {});
    await assert.rejects(node.start(), (e) => e.message.includes(String(it.node.port)));
    node.remove();
});

test('beyond loopback only with keys', async () => {
    const node = new Node({ listen: '0.0.0.0:0' }, {});
    await assert.rejects(node.start(), /key/);
    node.remove();
});

test('a found Ollama stays through a reload, and takes no name from a model of ours', async () => {
    const shed = await startNode(); // another node is an Ollama as well
    const node = await startNode({ discover: true }, { OLLAMA_HOST: shed.url });
    const names = async () => (await (await fetch(`${node.url}/api/tags`)).json()).models.map((one) => one.name).filter((name) => name.includes('lab-mini')).sort();
    const route = async (model) => (await fetch(`${node.url}/api/chat`, {
        method: 'POST', body: JSON.stringify({ model, stream: false, messages: [{ role: 'user', content: 'upper a' }] }),
    })).headers.get('x-motet-route');
    const wanted = ['lab-mini:latest', 'ollama/lab-mini:latest'];
    assert.deepEqual(await names(), wanted);
    node.signal('SIGHUP');
    await node.said(/ reloaded /);
    assert.deepEqual(await names(), wanted);
    assert.equal(await route('lab-mini:latest'), 'lab-mini');
    assert.equal(await route('ollama/lab-mini:latest'), 'ollama/lab-mini:latest');
    await node.stop();
    await shed.stop();
});

test('a client in a second terminal needs no keys of endpoints', async () => {
    const node = await startNode({ endpoints: [{ name: 'up', dialect: 'openai', url: it.up.url, api_key_env: 'UP_KEY' }] }, { UP_KEY: 'k' });
    const listed = await node.run(['ls'], { env: { MOTET_CONFIG: node.file } });
    assert.equal(listed.code, 0, listed.err);
    const checked = await node.run(['config', 'check'], { env: { MOTET_CONFIG: node.file } });
    assert.equal(checked.code, 2);
    assert.match(checked.err, /the environment has no UP_KEY/);
    await node.stop();
});

test('SIGTERM: a stream under way may end, new requests are not taken', async () => {
    const node = await startNode({ endpoints: [{ name: 'up', dialect: 'openai', url: it.up.url, api_key: 'k' }] });
    const stream = await openaiAt(node.url).chat.completions.create({ model: 'up/words-40+drip-20.term', messages: user, stream: true });
    let text = '';
    let isTold = false;
    for await (const chunk of stream) {
        if (!isTold) node.signal('SIGTERM'); // once: the second time means at once
        isTold = true;
        text += chunk.choices[0]?.delta.content ?? '';
    }
    assert.equal(text.trim().split(' ').length, 40);
    await node.stop();
});

test('what was answered before kill -9 is in the table after the next start', async () => {
    const node = await startNode({ endpoints: [{ name: 'up', dialect: 'openai', url: it.up.url, api_key: 'k' }] });
    const receipts = [];
    for (let i = 0; i < 30; i++) {
        const { response } = await openaiAt(node.url).chat.completions.create({ model: 'up/ok.kill', messages: user }).withResponse();
        receipts.push(response.headers.get('x-motet-receipt'));
    }
    const hanging = openaiAt(node.url).chat.completions.create({ model: 'up/hang.kill', messages: user }).catch(() => {});
    await it.up.until(() => it.up.find('hang.kill').length === 1, 'one is under way');
    await node.kill();
    await hanging;
    await node.start();
    const rows = await until(() => { const r = node.rows(); return r.length >= 31 && r; }, 'the rows');
    assert.equal(rows.length, 31);
    for (const receipt of receipts) assert.equal(rows.filter((r) => r.receipt === receipt && r.outcome === 'ok').length, 1);
    assert.equal(rows.filter((r) => r.outcome === 'interrupted').length, 1);
    await node.stop();
});

ending(it);
