// SPDX-License-Identifier: Apache-2.0
// What a conversation may hold besides the last question, and that none of it is lost between any
// two dialects: instructions, earlier turns, turns of one role in a row, images, settings.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRIVERS, driver, openaiAt } from './support/clients.mjs';
import { LOCAL, ending, world } from './support/world.mjs';

const it = world();
let serial = 0;
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** Turns of a conversation in each dialect: [role, text or {image}]... */
const SPOKEN = {
    openai: (turns, system) => ({
        turns: [{ role: 'system', content: system }, ...turns.map(([role, x]) => ({ role, content: x.image ? [{ type: 'text', text: x.text }, { type: 'image_url', image_url: { url: `data:image/png;base64,${x.image}` } }] : x }))],
    }),
    'openai-responses': (turns, system) => ({
        turns: turns.map(([role, x]) => ({ role, content: x.image ? [{ type: 'input_text', text: x.text }, { type: 'input_image', detail: 'auto', image_url: `data:image/png;base64,${x.image}` }] : x })),
        more: { instructions: system },
    }),
    anthropic: (turns, system) => ({
        turns: turns.map(([role, x]) => ({ role, content: x.image ? [{ type: 'text', text: x.text }, { type: 'image', source: { type: 'base64', media_type: 'image/png', data: x.image } }] : x })),
        more: { system },
    }),
    gemini: (turns, system) => ({
        turns: turns.map(([role, x]) => ({ role: role === 'assistant' ? 'model' : role, parts: x.image ? [{ text: x.text }, { inlineData: { mimeType: 'image/png', data: x.image } }] : [{ text: x }] })),
        more: { systemInstruction: system },
    }),
    ollama: (turns, system) => ({
        turns: [{ role: 'system', content: system }, ...turns.map(([role, x]) => (x.image ? { role, content: x.text, images: [x.image] } : { role, content: x }))],
    }),
};

async function ask(client, upstream, turns, options = {}) {
    const name = `ok.c${serial++}`;
    const spoken = SPOKEN[client.dialect](turns, 'answer in one line');
    const got = await client.ask(client.open(it.node.url), { model: `up-${upstream}/${name}`, ...spoken, ...options, more: { ...spoken.more, ...options.more } });
    return { got, sent: it.up.find(name)[0].body, text: JSON.stringify(it.up.find(name)[0].body) };
}

const inOrder = (text, words) => {
    let at = -1;
    for (const word of words) {
        const next = text.indexOf(word, at + 1);
        assert.ok(next > at, `'${word}' is missing, or too early: ${text}`);
        at = next;
    }
};

for (const client of DRIVERS)
    for (const { dialect: upstream } of DRIVERS) {
        const pair = `${client.dialect} on ${upstream}`;

        test(`${pair}: instructions and earlier turns`, async () => {
            const { got, text } = await ask(client, upstream, [['user', 'first question'], ['assistant', 'first answer'], ['user', 'second question']]);
            assert.equal(got.text, 'You said: second question.');
            assert.ok(text.includes('answer in one line'), text);
            inOrder(text, ['first question', 'first answer', 'second question']);
        });

        test(`${pair}: two turns of one role in a row`, async () => {
            if (client.dialect === 'anthropic' && upstream === 'anthropic') return; // as it is: the provider's affair
            const { text } = await ask(client, upstream, [['user', 'part one'], ['user', 'part two']]);
            inOrder(text, ['part one', 'part two']);
        });

        test(`${pair}: an image`, async () => {
            const { text } = await ask(client, upstream, [['user', { text: 'what is this', image: PNG }]]);
            assert.ok(text.includes('what is this') && text.includes(PNG), text.slice(0, 600));
        });

        test(`${pair}: letters of all kinds`, async () => {
            const odd = 'naïve "quotes" \\ \u0001 \u2028 日本 🎵 </script> \n\t end';
            for (const stream of [false, true]) {
                const { got } = await ask(client, upstream, [['user', odd]], { stream });
                assert.equal(got.text, `You said: ${odd}.`);
            }
        });

        test(`${pair}: temperature and maximum of tokens arrive`, async () => {
            const { text } = await ask(client, upstream, [['user', 'x']], { temperature: 0.25, maxTokens: 321 });
            assert.ok(text.includes('0.25') && text.includes('321'), text);
        });
    }

test('several choices, where they can be had', async () => {
    const ask = (model) => openaiAt(it.node.url).chat.completions.create({ model, messages: [{ role: 'user', content: 'upper motet' }], n: 2, temperature: 0, max_tokens: 8 });
    assert.deepEqual((await ask(LOCAL)).choices.map((c) => [c.index, c.message.content]), [[0, 'MOTET'], [1, 'MOTET']]);
    await assert.rejects(ask('up-anthropic/ok'), (e) => e.status === 400 && /\bn\b/.test(e.message));
});

test('what a dialect cannot carry is named in a warning', async () => {
    const { response } = await openaiAt(it.node.url).chat.completions.create({
        model: 'up-anthropic/ok', messages: [{ role: 'user', content: 'x' }], seed: 7, logit_bias: { 5: 1 },
    }).withResponse();
    assert.match(response.headers.get('x-motet-warning'), /seed/);
    assert.match(response.headers.get('x-motet-warning'), /logit_bias/);
});

test('the local model takes instructions and earlier turns', async () => {
    for (const client of DRIVERS) {
        const spoken = SPOKEN[client.dialect]([['user', 'upper one'], ['assistant', 'ONE'], ['user', 'upper motet']], 'x');
        const got = await client.ask(client.open(it.node.url), { model: LOCAL, ...spoken, temperature: 0, maxTokens: 16 });
        assert.ok(got.text.length > 0 && got.usage.input > 35, `${client.dialect}: ${got.usage.input} tokens, "${got.text}"`);
    }
});

/** What is no text, in every dialect that can say it: [path, what, body]... */
const spoken = (parts) => ({ model: LOCAL, max_tokens: 5, messages: [{ role: 'user', content: parts }] });
const gemini = (part) => ({ contents: [{ role: 'user', parts: [part] }] });
const GEMINI = `/v1beta/models/${LOCAL}:generateContent`;
const UNSEEN = [
    ['/v1/chat/completions', 'images', spoken([{ type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } }])],
    ['/v1/chat/completions', 'images', { ...spoken([{ type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } }]), stream: true }],
    ['/v1/chat/completions', 'audio', spoken([{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }])],
    ['/v1/chat/completions', 'files', spoken([{ type: 'file', file: { filename: 'x.pdf', file_data: 'data:application/pdf;base64,AAAA' } }])],
    ['/v1/responses', 'images', { model: LOCAL, input: [{ role: 'user', content: [{ type: 'input_image', detail: 'auto', image_url: `data:image/png;base64,${PNG}` }] }] }],
    ['/v1/responses', 'files', { model: LOCAL, input: [{ role: 'user', content: [{ type: 'input_file', filename: 'x.pdf', file_data: 'data:application/pdf;base64,AAAA' }] }] }],
    ['/v1/messages', 'images', spoken([{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } }])],
    ['/v1/messages', 'files', spoken([{ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' } }])],
    [GEMINI, 'images', gemini({ inlineData: { mimeType: 'image/png', data: PNG } })],
    [GEMINI, 'audio', gemini({ inlineData: { mimeType: 'audio/wav', data: 'AAAA' } })],
    [GEMINI, 'files', gemini({ fileData: { mimeType: 'application/pdf', fileUri: 'https://example.org/x.pdf' } })],
    ['/api/chat', 'images', { model: LOCAL, messages: [{ role: 'user', content: 'x', images: [PNG] }] }],
    ['/api/generate', 'images', { model: LOCAL, prompt: 'x', images: [PNG] }],
];

for (const [path, what, body] of UNSEEN)
    test(`${what} for a local model are refused by name: ${path}${body.stream ? ', streamed' : ''}`, async () => {
        const answer = await fetch(it.node.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
        const text = await answer.text();
        assert.equal(answer.status, 400, text);
        assert.match(text, new RegExp(`a local model cannot take ${what}`));
    });

ending(it);
