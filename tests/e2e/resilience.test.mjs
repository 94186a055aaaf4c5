// SPDX-License-Identifier: Apache-2.0
// Upstreams that fail, refuse, break off, or say nothing: what the node tries, for how long, and
// what each client is told in the end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRIVERS, driver, openaiAt } from './support/clients.mjs';
import { until } from './support/node.mjs';
import { ending, world } from './support/world.mjs';

// One endpoint per test, so that no test stands behind another one's breaker.
const LANES = 40;
const lane = (up, i, more) => ({ name: `l${i}`, dialect: 'openai', url: up.url, api_key: 'k', ...more });
const alias = (name, targets, more) => ({ name, targets, retries: 0, ...more });

const it = world((up) => ({
    retry: { base: '10ms', cap: '2s' },
    breaker: { failures: 5, open: '400ms' },
    server: { ping: '300ms' },
    endpoints: [
        ...Array.from({ length: LANES }, (_, i) => lane(up, i)),
        { name: 'on-1', dialect: 'anthropic', url: up.url, api_key: 'k' },
        { name: 'on-2', dialect: 'gemini', url: up.url, api_key: 'k' },
        lane(up, 'first', { first_timeout: '200ms' }),
        lane(up, 'idle', { idle_timeout: '200ms' }),
        lane(up, 'one', { concurrent_max: 1 }),
        { name: 'nowhere', dialect: 'openai', url: 'http://127.0.0.1:1' },
        ...DRIVERS.flatMap((client) => DRIVERS.map((d) => ({ name: `mid-${client.dialect}-${d.dialect}`, dialect: d.dialect, url: up.url, api_key: 'k', idle_timeout: '200ms' }))),
    ],
    models: [
        alias('twice', ['l0/fail-2-then-ok.twice'], { retries: 2 }),
        alias('spent', ['l1/fail-500.spent'], { retries: 2 }),
        alias('later', ['l2/rate-1-then-ok+retry-after-300.later'], { retries: 2 }),
        alias('elsewhere', ['l3/rate-99-then-ok+retry-after-5000.busy', 'l4/ok.free'], { retries: 2 }),
        alias('patience', ['l5/rate-99-then-ok+retry-after-60000.patience'], { retries: 2 }),
        alias('dated', ['l34/rate-99-then-ok+retry-date-60.dated'], { retries: 2 }),
        ...[400, 401, 403, 404, 500, 503, 529].map((s, i) => alias(`status-${s}`, [`l${6 + i}/fail-${s}.first`, `l13/ok.after-${s}`])),
        alias('unreadable', ['l14/badjson.unreadable', 'l15/ok.read']),
        alias('unreachable', ['nowhere/x', 'up-anthropic/ok.reached']),
        alias('explained', ['l32/fail-500.explained', 'l33/ok.explained']),
        alias('tongues', ['up-anthropic/fail-500.t1', 'up-gemini/fail-500.t2', 'up-ollama/fail-500.t3', 'up-openai-responses/fail-500.t4', 'l16/ok.t5']),
        alias('resting', ['l17/fail-500.resting']),
        alias('rested', ['l17/ok.rested']),
        alias('goes-on', ['l18/words-6+cut-3.goes-on', 'l19/words-4.went-on'], { continue_stream: true }),
        alias('goes-on-err', ['on-1/words-6+err-3.goes-on-err', 'on-2/words-4.went-on-err'], { continue_stream: true }),
        alias('stays', ['l20/words-6+cut-3.stays', 'l21/words-4.not-asked'], { retries: 2 }),
        alias('hedged', ['l22/slow-5000.hedged', 'l23/ok.hedge'], { hedge_after: '50ms' }),
        alias('hedge-idle', ['l24/slow-20.quick', 'l25/ok.unneeded'], { hedge_after: '1s' }),
        alias('first', ['lfirst/hang.nothing']),
        alias('idle', ['lidle/words-9+stall-2.idle']),
        alias('total', ['l26/fail-500.total'], { retries: 20, timeout: '400ms' }),
        alias('total-hang', ['l27/hang.total'], { timeout: '300ms' }),
        alias('endless', ['l28/hang.endless']),
        alias('one', ['lone/slow-400.one']),
        alias('silent', ['up-gemini/words-3+drip-1600.silent']),
    ],
}));

const user = [{ role: 'user', content: 'hello' }];
const ask = (model, more = {}, options = {}) => openaiAt(it.node.url, 'none', options).chat.completions.create({ model, messages: user, ...more }).withResponse();
const tries = (tag) => it.up.log.filter((r) => r.model?.endsWith(`.${tag}`));
const timed = async (work) => { const from = performance.now(); await work; return performance.now() - from; };

/* ------------------------------------------------------------------ retries */

test('a failing upstream is tried again, at most as often as configured', async () => {
    const { response } = await ask('twice');
    assert.equal(tries('twice').length, 3);
    assert.match(response.headers.get('x-motet-route'), /^l0\//);
});

test('spent retries end in an error that no SDK retries', async () => {
    await assert.rejects(ask('spent', {}, { maxRetries: 2 }), (e) => e.status >= 500 && e.headers.get('x-should-retry') === 'false');
    assert.equal(tries('spent').length, 3);
});

test('Retry-After is kept to', async () => {
    await ask('later');
    const [first, second] = tries('later');
    assert.ok(second.at - first.endedAt >= 295, `${second.at - first.endedAt} ms`);
});

test('a long Retry-After leads to the next target at once', async () => {
    const ms = await timed(ask('elsewhere'));
    assert.ok(ms < 1500, `${ms} ms`);
    assert.equal(tries('free').length, 1);
});

test('a Retry-After longer than patience is handed to the client', async () => {
    await assert.rejects(ask('patience', {}, { maxRetries: 2 }), (e) => e.status === 429 && Number(e.headers.get('retry-after')) >= 59);
    assert.equal(tries('patience').length, 1);
});

test('a Retry-After may be a date', async () => {
    await assert.rejects(ask('dated', {}, { maxRetries: 2 }), (e) => e.status === 429 && Math.abs(Number(e.headers.get('retry-after')) - 59) <= 2);
    assert.equal(tries('dated').length, 1);
});

for (const status of [401, 403, 404, 500, 503, 529])
    test(`a fallback answers after ${status}`, async () => {
        const { data, response } = await ask(`status-${status}`);
        assert.equal(data.choices[0].message.content, 'You said: hello.');
        assert.match(response.headers.get('x-motet-route'), /^l13\//);
    });

test('a request that the upstream calls wrong is not sent elsewhere', async () => {
    await assert.rejects(ask('status-400'), (e) => e.status === 400 && /scripted failure 400/.test(e.message));
    assert.equal(tries('after-400').length, 0);
});

test('an answer that is no JSON counts as a failure', async () => {
    const { data } = await ask('unreadable');
    assert.equal(data.choices[0].message.content, 'You said: hello.');
    assert.equal(tries('read').length, 1);
});

test('a host that refuses connections counts as a failure', async () => {
    await ask('unreachable');
    assert.equal(tries('reached').length, 1);
});

test('fallbacks cross dialects, for every client', async () => {
    for (const client of DRIVERS)
        for (const stream of [false, true]) {
            const got = await client.ask(client.open(it.node.url), { model: 'tongues', turns: client.user('hi'), stream });
            assert.equal(got.text, 'You said: hi.', client.dialect);
        }
});

test('headers: receipt, route and the caller\'s own request id', async () => {
    const { response } = await openaiAt(it.node.url).chat.completions.create({ model: 'l30/ok', messages: user }, { headers: { 'x-request-id': 'mine-1' } }).withResponse();
    assert.equal(response.headers.get('x-request-id'), 'mine-1');
    const row = await it.node.row(response.headers.get('x-motet-receipt'));
    assert.equal(row.request_id, 'mine-1');
    assert.equal(it.up.find('ok').at(-1).headers['x-request-id'], 'mine-1');
});

test('explain tells the attempts', async () => {
    const { response } = await ask('explained');
    const receipt = response.headers.get('x-motet-receipt');
    await it.node.row(receipt);
    const { out, err } = await it.node.run(['explain', receipt, '--json']);
    const said = JSON.parse(out || assert.fail(err));
    const attempts = typeof said.attempts === 'string' ? JSON.parse(said.attempts) : said.attempts;
    assert.deepEqual(attempts.map((a) => a.result === 'ok'), [false, true]);
});

/* ------------------------------------------------------------------ breaker */

test('an endpoint that keeps failing is left alone for a while', async () => {
    for (let i = 0; i < 5; i++) await assert.rejects(ask('resting'));
    assert.equal(tries('resting').length, 5);
    await assert.rejects(ask('resting'), (e) => e.status === 503 && /l17/.test(e.message) && e.headers.get('retry-after') !== null);
    assert.equal(tries('resting').length, 5, 'it was not asked');
    const endpoint = (await it.node.status()).endpoints.find((e) => e.name === 'l17');
    assert.equal(endpoint.breaker, 'open');
    await until(async () => { try { await ask('rested'); return true; } catch { return false; } }, 'it is tried again', 5000, 100);
    assert.equal((await it.node.status()).endpoints.find((e) => e.name === 'l17').breaker, 'closed');
});

/* ------------------------------------------------------------------ in the middle of a stream */

for (const client of DRIVERS)
    for (const upstream of DRIVERS)
        for (const does of ['err-3', 'cut-3', 'stall-3']) {
            test(`${client.dialect} on ${upstream.dialect}: ${does} raises in the client`, async () => {
                const tag = `mid-${client.dialect}-${upstream.dialect}-${does}`;
                const model = `mid-${client.dialect}-${upstream.dialect}/words-9+${does}.${tag}`;
                await assert.rejects(client.ask(client.open(it.node.url), { model, turns: client.user('x'), stream: true }),
                    (e) => !/AssertionError/.test(e.name) || assert.fail(e));
                assert.equal(tries(tag).length, 1);
                const [row] = await until(() => { const rows = it.node.rows(`model_asked = '${model}'`); return rows.length > 0 && rows; }, 'its row');
                assert.ok(['upstream_error', 'timeout'].includes(row.outcome), row.outcome);
            });
        }

test('what came before the break reaches the client', async () => {
    let text = '';
    await assert.rejects(async () => {
        for await (const chunk of await openaiAt(it.node.url).chat.completions.create({ model: 'up-anthropic/words-9+cut-3.part', messages: user, stream: true }))
            text += chunk.choices[0]?.delta.content ?? '';
    });
    assert.equal(text, 'w0 w1 w2 ');
});

for (const client of DRIVERS)
    for (const model of ['goes-on', 'goes-on-err'])
        test(`${client.dialect}: ${model}: a broken stream goes on at the next target`, async () => {
            const got = await client.ask(client.open(it.node.url), { model, turns: client.user('x'), stream: true });
            assert.equal(got.text, 'w0 w1 w2 w0 w1 w2 w3 ');
            assert.equal(got.finish, client.finish.stop);
            const sent = JSON.stringify(tries(model.replace('goes', 'went')).at(-1).body);
            assert.match(sent, /w0 w1 w2 /, 'the next target is told what was said');
        });

test('without that policy it does not', async () => {
    await assert.rejects(driver('openai').ask(openaiAt(it.node.url), { model: 'stays', turns: user, stream: true }));
    assert.equal(tries('not-asked').length, 0);
    assert.equal(tries('stays').length, 1);
});

test('a break before the first word is retried', async () => {
    const got = await driver('openai').ask(openaiAt(it.node.url), { model: 'l31/ok.unbroken', turns: user, stream: true });
    assert.equal(got.text, 'You said: hello.');
});

/* ------------------------------------------------------------------ hedging, time, room */

test('a hedge answers for a slow target, which is cancelled', async () => {
    const ms = await timed(ask('hedged'));
    assert.ok(ms < 3000, `${ms} ms`);
    await it.up.until(() => tries('hedged')[0].abortedAt, 'the slow one is cancelled', 1000);
    assert.equal(tries('hedge').length, 1);
});

test('no hedge when the first is quick', async () => {
    await ask('hedge-idle');
    assert.equal(tries('unneeded').length, 0);
});

test('no first byte in time', async () => {
    const ms = await timed(assert.rejects(ask('first'), (e) => e.status === 504));
    assert.ok(ms < 2000, `${ms} ms`);
    await it.up.until(() => tries('nothing').every((r) => r.abortedAt), 'the upstream is let go', 1000);
});

test('the whole request has a limit, over all its tries', async () => {
    const ms = await timed(assert.rejects(ask('total')));
    assert.ok(ms < 2500, `${ms} ms`);
    assert.ok(tries('total').length > 1);
    assert.ok(await timed(assert.rejects(ask('total-hang'), (e) => e.status === 504)) < 2000);
});

test('X-Motet-Max-Latency is such a limit, asked by the caller', async () => {
    const client = openaiAt(it.node.url, 'none', { defaultHeaders: { 'x-motet-max-latency': '250ms' } });
    const ms = await timed(assert.rejects(client.chat.completions.create({ model: 'endless', messages: user }), (e) => e.status === 504));
    assert.ok(ms < 2000, `${ms} ms`);
    const wrong = openaiAt(it.node.url, 'none', { defaultHeaders: { 'x-motet-max-latency': 'soon' } });
    await assert.rejects(wrong.chat.completions.create({ model: 'endless', messages: user }), (e) => e.status === 400);
});

test('an endpoint with a limit of requests at a time says so', async () => {
    const first = ask('one');
    await it.up.until(() => tries('one').length === 1, 'the first is upstream');
    await assert.rejects(ask('one'), (e) => e.status === 503 && e.headers.get('retry-after') !== null);
    await first;
    await ask('one');
});

test('a silent stream is kept warm', async () => {
    for (const [path, body, ping] of [
        ['/v1/messages', { model: 'silent', messages: user, max_tokens: 99, stream: true }, /event: ping/],
        ['/v1/chat/completions', { model: 'silent', messages: user, stream: true }, /^:/m],
    ]) {
        const answer = await fetch(it.node.url + path, { method: 'POST', headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' }, body: JSON.stringify(body) });
        assert.match(await answer.text(), ping, path);
    }
});

test('two megabytes pass, translated and as they are', async () => {
    for (const client of [driver('openai'), driver('anthropic')])
        for (const stream of [false, true]) {
            const got = await client.ask(client.open(it.node.url), { model: 'up-openai/huge', turns: client.user('x'), stream, maxTokens: 4000 });
            assert.equal(got.text.length, 2 << 20);
        }
});

ending(it);
