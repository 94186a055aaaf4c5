// SPDX-License-Identifier: Apache-2.0
// The scripted provider itself: official clients talk to it directly and it is what it says. What
// fails here is not motet's fault.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DRIVERS, openaiAt, geminiAt, ollamaAt } from './support/clients.mjs';
import { startUpstream } from './upstream.mjs';

let up;
before(async () => { up = await startUpstream(); });
after(() => up.close());

for (const driver of DRIVERS) {
    for (const stream of [false, true]) {
        const how = stream ? 'stream' : 'whole';

        test(`${driver.dialect} ${how}: text`, async () => {
            const got = await driver.ask(driver.open(up.url), { model: 'ok', turns: driver.user('hello'), stream });
            assert.equal(got.text, 'You said: hello.');
            assert.equal(got.finish, driver.finish.stop);
            assert.deepEqual([got.usage.input, got.usage.output], [up.log.at(-1).usage.input, 4]);
        });

        test(`${driver.dialect} ${how}: cut at the maximum of tokens`, async () => {
            const got = await driver.ask(driver.open(up.url), { model: 'words-9', turns: driver.user('count'), stream, maxTokens: 3 });
            assert.equal(got.text, 'w0 w1 w2 ');
            assert.equal(got.finish, driver.finish.length);
        });

        test(`${driver.dialect} ${how}: two tools and back`, async () => {
            const client = driver.open(up.url);
            const first = await driver.ask(client, { model: 'two', turns: driver.user('weather?'), stream, tools: true });
            assert.deepEqual(first.calls.map((c) => c.args), [{ city: 'Paris' }, { city: 'Oslo' }]);
            assert.equal(first.finish, driver.finish.tool);
            const turns = driver.results(first.turns, first.calls, ['sunny', 'snow']);
            const second = await driver.ask(client, { model: 'two', turns, stream, tools: true });
            assert.match(second.text, /It is: .*sunny.*snow/);
        });

        test(`${driver.dialect} ${how}: a failure raises`, async () => {
            await assert.rejects(driver.ask(driver.open(up.url), { model: 'fail-500', turns: driver.user('x'), stream }));
        });
    }

    for (const model of ['err-2', 'cut-2'])
        test(`${driver.dialect}: ${model} raises in the middle`, async () => {
            await assert.rejects(driver.ask(driver.open(up.url), { model, turns: driver.user('x'), stream: true }));
        });
}

test('embeddings in three dialects agree', async () => {
    const a = (await openaiAt(up.url).embeddings.create({ model: 'ok', input: 'abc' })).data[0].embedding;
    const b = (await geminiAt(up.url).models.embedContent({ model: 'ok', contents: 'abc' })).embeddings[0].values;
    const c = (await ollamaAt(up.url).embed({ model: 'ok', input: 'abc' })).embeddings[0];
    assert.deepEqual(Array.from(a), b);
    assert.deepEqual(b, c);
});

test('nothing that the clients sent is against the rules', () => {
    assert.deepEqual(up.violations, []);
});
