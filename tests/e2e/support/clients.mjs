// SPDX-License-Identifier: Apache-2.0
// The official clients behind one shape, so that a table can drive them all. Each driver asks in
// its own dialect and says what came, in common words:
//   {text, finish, usage: {input, output, cached}, calls: [{id, name, args}], raw, turns}
// turns is the conversation with the answer added, to go on with.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './node.mjs';

const require = createRequire(path.join(ROOT, 'tests/clients/package.json'));
const load = async (name) => import(pathToFileURL(require.resolve(name)));
export const OpenAI = (await load('openai')).default;
export const Anthropic = (await load('@anthropic-ai/sdk')).default;
export const { GoogleGenAI, FunctionCallingConfigMode } = await load('@google/genai');
export const { Ollama } = await load('ollama');

const KEY = 'none';

export const openaiAt = (url, key = KEY, more = {}) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, ...more });
export const anthropicAt = (url, key = KEY, more = {}) => new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, ...more });
export const geminiAt = (url, key = KEY, more = {}) => new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url, ...more } });
export const ollamaAt = (url, key, more = {}) => new Ollama({ host: url, ...(key && { headers: { authorization: `Bearer ${key}` } }), ...more });

const TOOL = { name: 'get_weather', description: 'weather of a city' };
const SCHEMA = { type: 'object', properties: { city: { type: 'string', enum: ['Paris', 'Oslo'] } }, required: ['city'] };

/** Tool deltas of a chat stream: indices dense from 0, id, type and name once and first. */
function gatherOpenAiCalls(calls, deltas) {
    for (const delta of deltas ?? []) {
        assert.ok(Number.isInteger(delta.index), 'tool delta without an index');
        if (delta.index === calls.length) {
            assert.equal(typeof delta.id, 'string', 'first delta of a call has its id');
            assert.equal(delta.type, 'function');
            calls.push({ id: delta.id, name: delta.function.name, json: '' });
        }
        assert.ok(delta.index < calls.length, `index ${delta.index} after ${calls.length} calls`);
        calls[delta.index].json += delta.function?.arguments ?? '';
    }
}

const parsed = (calls) => calls.map(({ id, name, json }) => ({ id, name, args: JSON.parse(json) }));

const chat = {
    dialect: 'openai',
    finish: { stop: 'stop', length: 'length', tool: 'tool_calls' },
    open: openaiAt,
    user: (text) => [{ role: 'user', content: text }],
    results: (turns, calls, texts) => [...turns, ...calls.map((call, i) => ({ role: 'tool', tool_call_id: call.id, content: texts[i] }))],
    async ask(client, { model, turns, stream, tools, forced, maxTokens, temperature, signal, more }) {
        const body = {
            model, messages: turns, temperature, max_tokens: maxTokens,
            ...(tools && { tools: [{ type: 'function', function: { ...TOOL, parameters: SCHEMA } }] }),
            ...(forced && { tool_choice: 'required' }), ...more,
        };
        if (!stream) {
            const raw = await client.chat.completions.create(body, { signal });
            const { message, finish_reason } = raw.choices[0];
            const calls = parsed((message.tool_calls ?? []).map((c) => ({ id: c.id, name: c.function.name, json: c.function.arguments })));
            return { text: message.content ?? '', finish: finish_reason, usage: this.usage(raw.usage), calls, raw, turns: [...turns, message] };
        }
        const got = { text: '', finish: null, usage: null, calls: [], raw: [] };
        for await (const chunk of await client.chat.completions.create({ ...body, stream: true, stream_options: { include_usage: true } }, { signal })) {
            got.raw.push(chunk);
            const choice = chunk.choices[0];
            if (chunk.usage) got.usage = this.usage(chunk.usage);
            if (!choice) continue;
            got.text += choice.delta.content ?? '';
            gatherOpenAiCalls(got.calls, choice.delta.tool_calls);
            got.finish = choice.finish_reason ?? got.finish;
        }
        const toolCalls = got.calls.map((c) => ({ id: c.id, type: 'function', function: { name: c.name, arguments: c.json } }));
        const message = { role: 'assistant', content: got.text || null, ...(toolCalls.length && { tool_calls: toolCalls }) };
        return { ...got, calls: parsed(got.calls), turns: [...turns, message] };
    },
    usage: (u) => u && ({ input: u.prompt_tokens, output: u.completion_tokens, cached: u.prompt_tokens_details?.cached_tokens ?? 0 }),
};

const responses = {
    dialect: 'openai-responses',
    finish: { stop: 'completed', length: 'incomplete', tool: 'completed' },
    open: openaiAt,
    user: (text) => [{ role: 'user', content: text }],
    results: (turns, calls, texts) => [...turns, ...calls.map((call, i) => ({ type: 'function_call_output', call_id: call.id, output: texts[i] }))],
    async ask(client, { model, turns, stream, tools, forced, maxTokens, temperature, signal, more }) {
        const body = {
            model, input: turns, temperature, max_output_tokens: maxTokens, store: false,
            ...(tools && { tools: [{ type: 'function', strict: false, ...TOOL, parameters: SCHEMA }] }),
            ...(forced && { tool_choice: 'required' }), ...more,
        };
        let raw;
        let text = '';
        const seen = [];
        if (stream) {
            for await (const event of await client.responses.create({ ...body, stream: true }, { signal })) {
                assert.equal(event.sequence_number, seen.length, 'sequence_number counts up from 0');
                seen.push(event);
                if (event.type === 'response.output_text.delta') text += event.delta;
                if (event.type === 'error' || event.type === 'response.failed')
                    throw Object.assign(new Error(event.message ?? event.response?.error?.message), { event });
                if (['response.completed', 'response.incomplete'].includes(event.type)) raw = event.response;
            }
            assert.equal(seen[0]?.type, 'response.created');
            assert.ok(raw, `the stream ended without a response: ${seen.map((e) => e.type).slice(-3)}`);
            assert.equal(text, textOf(raw), 'deltas add up to the output');
        } else {
            raw = await client.responses.create(body, { signal });
        }
        const calls = raw.output.filter((item) => item.type === 'function_call')
            .map((item) => ({ id: item.call_id, name: item.name, args: JSON.parse(item.arguments) }));
        return { text: textOf(raw), finish: raw.status, usage: this.usage(raw.usage), calls, raw: stream ? seen : raw, response: raw, turns: [...turns, ...raw.output] };
    },
    usage: (u) => u && ({ input: u.input_tokens, output: u.output_tokens, cached: u.input_tokens_details?.cached_tokens ?? 0 }),
};
const textOf = (response) => response.output.filter((item) => item.type === 'message')
    .flatMap((item) => item.content).map((part) => part.text ?? '').join('');

const anthropic = {
    dialect: 'anthropic',
    finish: { stop: 'end_turn', length: 'max_tokens', tool: 'tool_use' },
    open: anthropicAt,
    user: (text) => [{ role: 'user', content: text }],
    results: (turns, calls, texts) => [...turns, {
        role: 'user', content: calls.map((call, i) => ({ type: 'tool_result', tool_use_id: call.id, content: texts[i] })),
    }],
    async ask(client, { model, turns, stream, tools, forced, maxTokens = 256, temperature, signal, more }) {
        const body = {
            model, messages: turns, temperature, max_tokens: maxTokens,
            ...(tools && { tools: [{ ...TOOL, input_schema: SCHEMA }] }),
            ...(forced && { tool_choice: { type: 'any' } }), ...more,
        };
        let raw;
        const seen = [];
        if (stream) {
            const events = client.messages.stream(body, { signal });
            for await (const event of events) seen.push(event);
            raw = await events.finalMessage();
            this.checkOrder(seen);
        } else {
            raw = await client.messages.create(body, { signal });
        }
        const calls = raw.content.filter((b) => b.type === 'tool_use').map((b) => ({ id: b.id, name: b.name, args: b.input }));
        return {
            text: raw.content.map((b) => b.text ?? '').join(''), finish: raw.stop_reason, usage: this.usage(raw.usage), calls,
            raw: stream ? seen : raw, turns: [...turns, { role: 'assistant', content: raw.content }],
        };
    },
    /** Blocks open in order 0, 1, 2 .. and each ends before the next begins. */
    checkOrder(events) {
        let open = null;
        let next = 0;
        assert.equal(events[0]?.type, 'message_start');
        assert.ok(events[0].message.usage.input_tokens > 0, 'message_start knows the input tokens');
        for (const event of events) {
            if (event.type === 'content_block_start') {
                assert.equal(open, null);
                assert.equal(event.index, next++);
                open = event.index;
            } else if (event.type === 'content_block_stop') {
                assert.equal(event.index, open);
                open = null;
            } else if (event.type === 'content_block_delta') {
                assert.equal(event.index, open);
            }
        }
        assert.equal(events.at(-1).type, 'message_stop');
    },
    usage: (u) => u && ({
        input: u.input_tokens + (u.cache_read_input_tokens ?? 0) + (u.cache_creation_input_tokens ?? 0),
        output: u.output_tokens, cached: u.cache_read_input_tokens ?? 0,
    }),
};

const gemini = {
    dialect: 'gemini',
    finish: { stop: 'STOP', length: 'MAX_TOKENS', tool: 'STOP' },
    open: geminiAt,
    user: (text) => [{ role: 'user', parts: [{ text }] }],
    results: (turns, calls, texts) => [...turns, {
        role: 'user', parts: calls.map((call, i) => ({ functionResponse: { ...(call.id && { id: call.id }), name: call.name, response: { output: texts[i] } } })),
    }],
    async ask(client, { model, turns, stream, tools, forced, maxTokens, temperature, signal, more }) {
        const body = {
            model, contents: turns,
            config: {
                temperature, maxOutputTokens: maxTokens, abortSignal: signal,
                ...(tools && { tools: [{ functionDeclarations: [{ ...TOOL, parametersJsonSchema: SCHEMA }] }] }),
                ...(forced && { toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } } }), ...more,
            },
        };
        const seen = [];
        if (stream) for await (const chunk of await client.models.generateContentStream(body)) seen.push(chunk);
        else seen.push(await client.models.generateContent(body));
        const parts = seen.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
        const calls = parts.filter((p) => p.functionCall).map((p) => ({ id: p.functionCall.id, name: p.functionCall.name, args: p.functionCall.args }));
        return {
            text: parts.filter((p) => !p.thought).map((p) => p.text ?? '').join(''),
            finish: seen.map((chunk) => chunk.candidates?.[0]?.finishReason).filter(Boolean).at(-1),
            usage: this.usage(seen.map((chunk) => chunk.usageMetadata).filter(Boolean).at(-1)), calls,
            raw: stream ? seen : seen[0], turns: [...turns, { role: 'model', parts: parts.filter((p) => p.functionCall || p.text) }],
        };
    },
    usage: (u) => u && ({ input: u.promptTokenCount, output: u.candidatesTokenCount ?? 0, cached: u.cachedContentTokenCount ?? 0 }),
};

const ollama = {
    dialect: 'ollama',
    finish: { stop: 'stop', length: 'length', tool: 'stop' },
    open: ollamaAt,
    user: (text) => [{ role: 'user', content: text }],
    results: (turns, calls, texts) => [...turns, ...calls.map((call, i) => ({ role: 'tool', tool_name: call.name, content: texts[i] }))],
    async ask(client, { model, turns, stream, tools, maxTokens, temperature, signal, more }) {
        const body = {
            model, messages: turns, stream: !!stream,
            options: { ...(temperature !== undefined && { temperature }), ...(maxTokens && { num_predict: maxTokens }) },
            ...(tools && { tools: [{ type: 'function', function: { ...TOOL, parameters: SCHEMA } }] }), ...more,
        };
        const seen = [];
        if (stream) {
            const answer = await client.chat(body);
            signal?.addEventListener('abort', () => answer.abort());
            for await (const chunk of answer) seen.push(chunk);
        } else {
            seen.push(await client.chat(body));
        }
        const last = seen.at(-1);
        const calls = seen.flatMap((chunk) => chunk.message.tool_calls ?? []).map((c) => ({ id: c.id, name: c.function.name, args: c.function.arguments }));
        const text = seen.map((chunk) => chunk.message.content ?? '').join('');
        assert.equal(last.done, true, 'the last line says done');
        return {
            text, finish: last.done_reason, usage: this.usage(last), calls, raw: stream ? seen : last,
            turns: [...turns, { role: 'assistant', content: text, ...(calls.length && { tool_calls: seen.flatMap((chunk) => chunk.message.tool_calls ?? []) }) }],
        };
    },
    usage: (u) => ({ input: u.prompt_eval_count, output: u.eval_count, cached: null }),
};

export const DRIVERS = [chat, responses, anthropic, gemini, ollama];
export const driver = (dialect) => DRIVERS.find((d) => d.dialect === dialect);
