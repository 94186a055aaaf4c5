// SPDX-License-Identifier: Apache-2.0
// The scripted provider as Ollama: chat and embed.
import { embedding } from './answer.mjs';

export const name = 'ollama';

export function route(method, path) {
    if (method === 'POST' && path === '/api/chat') return { op: 'chat' };
    if (method === 'POST' && path === '/api/embed') return { op: 'embed' };
    return null;
}

const FIELDS = ['model', 'messages', 'stream', 'tools', 'options', 'format', 'keep_alive', 'think', 'logprobs', 'top_logprobs'];

export function check(req, c) {
    const b = req.body;
    c.string(b.model, 'model');
    if (req.op === 'embed') {
        c.that(typeof b.input === 'string' || Array.isArray(b.input), 'input');
        return;
    }
    c.keys(b, FIELDS, 'body');
    if (!c.list(b.messages, 'messages')) return;
    b.messages.forEach((m, i) => {
        const at = `messages[${i}]`;
        c.that(['system', 'user', 'assistant', 'tool'].includes(m.role), `${at}.role: ${m.role}`);
        c.that(m.content === undefined || typeof m.content === 'string', `${at}.content: expected a string`);
        for (const call of m.tool_calls ?? []) {
            c.string(call.function?.name, `${at}.tool_calls.function.name`);
            c.object(call.function?.arguments, `${at}.tool_calls.function.arguments`);
        }
    });
    for (const tool of b.tools ?? []) c.string(tool.function?.name, 'tools.function.name');
}

export function read(req) {
    const b = req.body;
    if (req.op === 'embed') return { model: b.model, stream: false };
    const users = b.messages.filter((m) => m.role === 'user');
    return {
        model: b.model,
        stream: b.stream !== false,
        lastUser: users.at(-1)?.content ?? '',
        tools: (b.tools ?? []).map((t) => t.function.name),
        toolsForced: false,
        results: b.messages.at(-1)?.role === 'tool'
            ? b.messages.filter((m) => m.role === 'tool').map((m) => ({ text: m.content })) : [],
        maxTokens: b.options?.num_predict > 0 ? b.options.num_predict : undefined,
        schema: b.format && typeof b.format === 'object' ? b.format : null,
        inputText: b.messages.map((m) => m.content ?? '').join(''),
    };
}

const head = (a) => ({ model: a.model, created_at: '2026-01-02T03:04:05.678901234Z' });
const DONE = { stop: 'stop', length: 'length', tool: 'stop' };
const end = (a, does) => ({
    done: true, done_reason: DONE[a.finish],
    ...(does.nousage ? {} : {
        total_duration: 5000000, load_duration: 1000, prompt_eval_count: a.usage.input, prompt_eval_duration: 2000,
        eval_count: a.usage.output, eval_duration: 3000,
    }),
});
const toolCalls = (calls) => calls.map((call) => ({ function: { name: call.name, arguments: call.args } }));

export function whole(a, does) {
    return {
        ...head(a),
        message: { role: 'assistant', content: a.chunks.join(''), ...(a.calls.length && { tool_calls: toolCalls(a.calls) }) },
        ...end(a, does),
    };
}

export function stream(a, does) {
    const line = (object, isContent) => ({ raw: JSON.stringify(object) + '\n', isContent });
    return [
        ...a.chunks.map((content) => line({ ...head(a), message: { role: 'assistant', content }, done: false }, true)),
        ...a.calls.map((call) => line({ ...head(a), message: { role: 'assistant', content: '', tool_calls: toolCalls([call]) }, done: false }, true)),
        line({ ...head(a), message: { role: 'assistant', content: '' }, ...end(a, does) }),
    ];
}
export const streamType = 'application/x-ndjson';

export function embed(req) {
    const inputs = [].concat(req.body.input);
    return { model: req.body.model, embeddings: inputs.map((t) => embedding(String(t))), prompt_eval_count: inputs.length * 4, total_duration: 1, load_duration: 1 };
}

export const error = (status, message) => ({ error: message });
export const streamError = (message) => JSON.stringify({ error: message }) + '\n';
