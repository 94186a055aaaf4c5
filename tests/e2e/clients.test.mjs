// SPDX-License-Identifier: Apache-2.0
// What people do with each official client beyond asking for text: lists, embeddings, stored
// Responses, structured output, counting, logprobs, Ollama's own calls.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRIVERS, anthropicAt, geminiAt, ollamaAt, openaiAt } from './support/clients.mjs';
import { until } from './support/node.mjs';
import { LOCAL, ending, world } from './support/world.mjs';
import { embedding } from './upstream/answer.mjs';

const it = world(() => ({ models: [{ name: 'alias', targets: ['up-openai/ok.alias'] }] }));

const near = (a, b, what) => {
    assert.equal(a.length, b.length, what);
    for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i] - b[i]) < 1e-5, `${what}[${i}]: ${a[i]}, ${b[i]}`);
};
const openai = (more) => openaiAt(it.node.url, 'none', more);
const gemini = (more) => geminiAt(it.node.url, 'none', more);
const ollama = () => ollamaAt(it.node.url);
const anthropic = () => anthropicAt(it.node.url);
const user = (content) => [{ role: 'user', content }];

/* ------------------------------------------------------------------ embeddings */

test('openai embeddings: floats and base64 say the same, local and remote', async () => {
    for (const model of [LOCAL, 'up-openai/ok', 'up-gemini/ok', 'up-ollama/ok']) {
        const ask = (encoding_format) => openai().embeddings.create({ model, input: ['one', 'two'], ...(encoding_format && { encoding_format }) });
        const floats = await ask('float');
        const usual = await ask(); // the SDK asks for base64 and decodes it
        const raw = await openai().post('/embeddings', { body: { model, input: ['one', 'two'], encoding_format: 'base64' } });
        assert.equal(floats.data.length, 2);
        assert.equal(typeof raw.data[0].embedding, 'string', 'base64 when asked for');
        for (let i = 0; i < 2; i++) {
            near(Array.from(usual.data[i].embedding), floats.data[i].embedding, `${model} ${i}`);
            assert.equal(floats.data[i].index, i);
        }
        if (model !== LOCAL) near(floats.data[0].embedding, embedding('one'), model);
        assert.ok(floats.usage.prompt_tokens > 0);
    }
});

test('embeddings: gemini and ollama clients', async () => {
    for (const model of [LOCAL, 'up-openai/ok', 'up-gemini/ok', 'up-ollama/ok']) {
        const wanted = (await openai().embeddings.create({ model, input: 'three', encoding_format: 'float' })).data[0].embedding;
        near((await gemini().models.embedContent({ model, contents: 'three' })).embeddings[0].values, wanted, `gemini ${model}`);
        near((await ollama().embed({ model, input: 'three' })).embeddings[0], wanted, `ollama ${model}`);
        near((await ollama().embeddings({ model, prompt: 'three' })).embedding, wanted, `ollama old ${model}`);
    }
});

test('embeddings of an upstream that has none are refused by name', async () => {
    await assert.rejects(openai().embeddings.create({ model: 'up-anthropic/ok', input: 'x' }), (e) => e.status === 400 && /embeddings/.test(e.message));
});

/* ------------------------------------------------------------------ Responses */

for (const model of [LOCAL, 'up-openai/ok.resp', 'up-anthropic/ok.resp', 'up-openai-responses/ok.resp']) {
    for (const stream of [false, true]) {
        test(`responses on ${model}, ${stream ? 'stream' : 'whole'}: kept, continued, listed, forgotten`, async () => {
            const create = async (body) => {
                if (!stream) return openai().responses.create({ model, temperature: 0, ...body });
                let last;
                for await (const event of await openai().responses.create({ model, temperature: 0, ...body, stream: true })) last = event.response ?? last;
                return last;
            };
            const first = await create({ input: 'upper motet', metadata: { a: 'b' } });
            assert.match(first.id, /^resp_/);
            const kept = await openai().responses.retrieve(first.id);
            assert.equal(kept.id, first.id);
            assert.equal(kept.output_text, first.output_text ?? first.output[0].content[0].text);
            assert.deepEqual(kept.metadata, { a: 'b' });
            const items = await openai().responses.inputItems.list(first.id);
            assert.equal(items.data.length, 1);
            assert.equal(items.data[0].role, 'user');

            const second = await create({ input: 'upper node', previous_response_id: first.id });
            assert.equal(second.previous_response_id, first.id);
            if (model === LOCAL) {
                assert.equal(kept.output_text, 'MOTET');
            } else {
                const sent = it.up.find('ok.resp').at(-1).body;
                const turns = JSON.stringify(sent.messages ?? sent.input);
                assert.match(turns, /upper motet.*You said: upper motet.*upper node/);
            }

            await openai().responses.delete(first.id);
            await assert.rejects(openai().responses.retrieve(first.id), (e) => e.status === 404);
            await assert.rejects(create({ input: 'x', previous_response_id: first.id }), (e) => e.status === 404 || e.status === 400);
        });
    }
}

test('responses with store: false leave nothing', async () => {
    const answer = await openai().responses.create({ model: LOCAL, input: 'copy x', store: false });
    await assert.rejects(openai().responses.retrieve(answer.id), (e) => e.status === 404);
});

test('responses.stream of the SDK accumulates', async () => {
    const final = await openai().responses.stream({ model: LOCAL, input: 'upper motet', temperature: 0 }).finalResponse();
    assert.equal(final.output_text, 'MOTET');
});

/* ------------------------------------------------------------------ structured output */

const SCHEMA = { type: 'object', properties: { city: { type: 'string', enum: ['Paris', 'Oslo'] }, n: { type: 'integer', enum: [1, 2, 7] } }, required: ['city', 'n'], additionalProperties: false };
const STRUCTURED = {
    openai: { response_format: { type: 'json_schema', json_schema: { name: 'place', strict: true, schema: SCHEMA } } },
    'openai-responses': { text: { format: { type: 'json_schema', name: 'place', strict: true, schema: SCHEMA } } },
    anthropic: { output_config: { format: { type: 'json_schema', schema: SCHEMA } } },
    gemini: { responseMimeType: 'application/json', responseJsonSchema: SCHEMA },
    ollama: { format: SCHEMA },
};

for (const client of DRIVERS)
    for (const model of [LOCAL, ...DRIVERS.map((d) => `up-${d.dialect}/ok.schema`)])
        test(`${client.dialect}: an answer that fits a JSON schema, from ${model}`, async () => {
            for (const stream of [false, true]) {
                const got = await client.ask(client.open(it.node.url), {
                    model, turns: client.user('a place'), stream, temperature: 0, maxTokens: 64, more: STRUCTURED[client.dialect],
                });
                const place = JSON.parse(got.text);
                assert.ok(['Paris', 'Oslo'].includes(place.city), got.text);
                assert.ok([1, 2, 7].includes(place.n), got.text);
            }
        });

/* ------------------------------------------------------------------ lists, cards, counts */

test('openai: models list and retrieve', async () => {
    const ids = (await Array.fromAsync(await openai().models.list())).map((m) => m.id);
    for (const id of [LOCAL, 'alias']) assert.ok(ids.includes(id), ids.join());
    assert.equal((await openai().models.retrieve(LOCAL)).id, LOCAL);
});

test('anthropic: models list and retrieve, count_tokens', async () => {
    const ids = (await Array.fromAsync(await anthropic().models.list())).map((m) => m.id);
    assert.ok(ids.includes(LOCAL), ids.join());
    assert.equal((await anthropic().models.retrieve(LOCAL)).id, LOCAL);
    const messages = user('upper motet');
    const count = await anthropic().messages.countTokens({ model: LOCAL, messages });
    const answer = await anthropic().messages.create({ model: LOCAL, messages, max_tokens: 16 });
    assert.equal(count.input_tokens, answer.usage.input_tokens + answer.usage.cache_read_input_tokens);
    assert.ok((await anthropic().messages.countTokens({ model: 'up-openai/ok', messages })).input_tokens > 0);
});

for (const apiVersion of ['v1', 'v1beta'])
    test(`gemini ${apiVersion}: models list and get, countTokens`, async () => {
        const names = (await Array.fromAsync(await gemini({ apiVersion }).models.list())).map((m) => m.name);
        assert.ok(names.includes(`models/${LOCAL}`), names.join());
        assert.equal((await gemini({ apiVersion }).models.get({ model: LOCAL })).name, `models/${LOCAL}`);
        const count = await gemini({ apiVersion }).models.countTokens({ model: LOCAL, contents: 'upper motet' });
        const answer = await gemini({ apiVersion }).models.generateContent({ model: LOCAL, contents: 'upper motet', config: { temperature: 0 } });
        assert.equal(count.totalTokens, answer.usageMetadata.promptTokenCount);
        assert.equal(answer.text, 'MOTET');
    });

test('openai: input tokens of a response are counted', async () => {
    const count = await openai().responses.inputTokens.count({ model: LOCAL, input: 'upper motet' });
    const answer = await openai().responses.create({ model: LOCAL, input: 'upper motet', store: false });
    assert.equal(count.input_tokens, answer.usage.input_tokens);
});

/* ------------------------------------------------------------------ Ollama */

test('ollama: list, show, version', async () => {
    const names = (await ollama().list()).models.map((m) => m.name);
    assert.ok(names.some((name) => name.startsWith(LOCAL)), names.join());
    const card = await ollama().show({ model: LOCAL });
    assert.ok(card.details && card.capabilities.includes('completion'), JSON.stringify(card).slice(0, 300));
    assert.equal(card.model_info['general.architecture'], 'llama');
    assert.match((await ollama().version()).version, /^\d/);
});

test('ollama: generate, whole and as a stream, and ps knows the model', async () => {
    const whole = await ollama().generate({ model: LOCAL, prompt: 'upper motet', options: { temperature: 0, num_predict: 16 } });
    assert.equal(whole.response, 'MOTET');
    assert.equal(whole.done_reason, 'stop');
    let text = '';
    let last;
    for await (const part of await ollama().generate({ model: LOCAL, prompt: 'upper motet', stream: true, options: { temperature: 0 } })) {
        text += part.response;
        last = part;
    }
    assert.equal(text, 'MOTET');
    assert.ok(last.done && last.eval_count >= 5 && last.total_duration > 0, JSON.stringify(last));
    const running = (await ollama().ps()).models;
    assert.ok(running.some((m) => m.name.startsWith(LOCAL) && Date.parse(m.expires_at) > Date.now()), JSON.stringify(running));
});

test('ollama: load, unload, load again', async () => {
    assert.equal((await ollama().generate({ model: LOCAL, prompt: '' })).done_reason, 'load');
    assert.equal((await ollama().generate({ model: LOCAL, prompt: '', keep_alive: 0 })).done_reason, 'unload');
    await until(async () => (await ollama().ps()).models.length === 0, 'it leaves the memory');
    assert.equal((await ollama().chat({ model: LOCAL, messages: [], keep_alive: '10m' })).done_reason, 'load');
});

test('ollama: names may end in :latest, pulling what is here succeeds', async () => {
    const got = await ollama().chat({ model: `${LOCAL}:latest`, messages: user('upper motet'), options: { temperature: 0 } });
    assert.equal(got.message.content, 'MOTET');
    assert.equal((await ollama().pull({ model: LOCAL })).status, 'success');
});

/* ------------------------------------------------------------------ logprobs and the rest */

test('logprobs of the local model in chat', async () => {
    const answer = await openai().chat.completions.create({ model: LOCAL, messages: user('upper motet'), temperature: 0, logprobs: true, top_logprobs: 3 });
    const content = answer.choices[0].logprobs.content;
    assert.equal(content.map((t) => t.token).join(''), 'MOTET');
    for (const t of content) {
        assert.ok(t.logprob <= 0 && t.logprob > -5, `${t.token} ${t.logprob}`);
        assert.equal(t.top_logprobs.length, 3);
        assert.equal(t.top_logprobs[0].token, t.token);
        assert.deepEqual(t.bytes, [...Buffer.from(t.token)]);
    }
    const pieces = [];
    for await (const chunk of await openai().chat.completions.create({ model: LOCAL, messages: user('upper motet'), temperature: 0, logprobs: true, stream: true }))
        pieces.push(...(chunk.choices[0]?.logprobs?.content ?? []));
    assert.equal(pieces.map((t) => t.token).join(''), 'MOTET');
});

test('logprobs of the local model in Responses, Gemini and Ollama', async () => {
    const response = await openai().responses.create({ model: LOCAL, input: 'upper motet', temperature: 0, top_logprobs: 2, include: ['message.output_text.logprobs'] });
    assert.equal(response.output[0].content[0].logprobs.map((t) => t.token).join(''), 'MOTET');
    const content = await gemini().models.generateContent({ model: LOCAL, contents: 'upper motet', config: { temperature: 0, responseLogprobs: true, logprobs: 2 } });
    assert.equal(content.candidates[0].logprobsResult.chosenCandidates.map((t) => t.token).join(''), 'MOTET');
    const chat = await ollama().chat({ model: LOCAL, messages: user('upper motet'), options: { temperature: 0 }, logprobs: true, top_logprobs: 2 });
    assert.equal(chat.logprobs.map((t) => t.token).join(''), 'MOTET');
});

test('openai: completions of old', async () => {
    const whole = await openai().completions.create({ model: LOCAL, prompt: 'upper motet', max_tokens: 8, temperature: 0 });
    assert.equal(whole.object, 'text_completion');
    assert.ok(whole.usage.completion_tokens > 0);
    let text = '';
    for await (const chunk of await openai().completions.create({ model: LOCAL, prompt: 'upper motet', max_tokens: 8, temperature: 0, stream: true })) text += chunk.choices[0]?.text ?? '';
    assert.equal(text, whole.choices[0].text);
});

test('openai: chat.completions.stream of the SDK accumulates', async () => {
    const final = await openai().chat.completions.stream({ model: LOCAL, messages: user('upper motet'), temperature: 0 }).finalChatCompletion();
    assert.equal(final.choices[0].message.content, 'MOTET');
});

test('anthropic: both ways to sign in', async () => {
    for (const auth of [{ apiKey: 'x', authToken: null }, { apiKey: null, authToken: 'x' }]) {
        const answer = await anthropicAt(it.node.url, null, auth).messages.create({ model: LOCAL, messages: user('upper motet'), max_tokens: 16, temperature: 0 });
        assert.equal(answer.content[0].text, 'MOTET');
    }
});

test('a seed makes sampling repeatable', async () => {
    const ask = (seed) => openai().chat.completions.create({ model: LOCAL, messages: user('copy something odd'), temperature: 1.5, seed, max_tokens: 24 });
    const [a, b] = [await ask(7), await ask(7)];
    assert.equal(a.choices[0].message.content, b.choices[0].message.content);
});

test('a stop sequence ends the answer before it', async () => {
    const answer = await openai().chat.completions.create({ model: LOCAL, messages: user('upper motet'), temperature: 0, stop: ['TE'] });
    assert.equal(answer.choices[0].message.content, 'MO');
    assert.equal(answer.choices[0].finish_reason, 'stop');
});

test('sixteen at once on the local model all get their own answer', async () => {
    const words = Array.from({ length: 16 }, (_, i) => `word${String.fromCharCode(97 + i)}`);
    const answers = await Promise.all(words.map((w) => openai().chat.completions.create({ model: LOCAL, messages: user(`upper ${w}`), temperature: 0 })));
    assert.deepEqual(answers.map((a) => a.choices[0].message.content), words.map((w) => w.toUpperCase()));
});

test('a prompt longer than the context is refused clearly', async () => {
    await assert.rejects(openai().chat.completions.create({ model: LOCAL, messages: user('x'.repeat(2000)) }), (e) => e.status === 400 && /context|tokens/.test(e.message));
});

ending(it);
