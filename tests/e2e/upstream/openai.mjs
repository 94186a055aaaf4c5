// SPDX-License-Identifier: Apache-2.0
// The scripted provider as OpenAI: chat completions and embeddings.
import { embedding } from './answer.mjs';

export const name = 'openai';

export function route(method, path) {
    if (method !== 'POST') return null;
    if (path === '/v1/chat/completions') return { op: 'chat' };
    if (path === '/v1/embeddings') return { op: 'embed' };
    return null;
}

const FIELDS = ['model', 'messages', 'stream', 'stream_options', 'tools', 'tool_choice',
    'parallel_tool_calls', 'max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'n', 'stop',
    'seed', 'logprobs', 'top_logprobs', 'response_format', 'user', 'store', 'metadata',
    'presence_penalty', 'frequency_penalty', 'logit_bias', 'reasoning_effort', 'service_tier',
    'safety_identifier', 'prompt_cache_key', 'verbosity', 'modalities', 'audio'];

const contentText = (content) => typeof content === 'string' ? content
    : (content ?? []).map((part) => part.text ?? '').join('');

function checkMessages(messages, c) {
    let open = new Set();
    messages.forEach((m, i) => {
        const at = `messages[${i}]`;
        c.that(['system', 'developer', 'user', 'assistant', 'tool'].includes(m.role), `${at}.role`);
        if (m.role === 'tool') {
            c.string(m.tool_call_id, `${at}.tool_call_id`);
            c.that(open.delete(m.tool_call_id), `${at}: tool_call_id answers no call`);
            c.that(m.content !== undefined, `${at}.content`);
            return;
        }
        c.that(open.size === 0, `${at}: tool calls before it have no result`);
        open = new Set();
        for (const call of m.tool_calls ?? []) {
            c.that(m.role === 'assistant', `${at}: tool_calls of a ${m.role}`);
            c.that(call.type === 'function', `${at}.tool_calls.type`);
            c.string(call.id, `${at}.tool_calls.id`);
            c.that(!open.has(call.id), `${at}: the same tool call id twice`);
            c.string(call.function?.name, `${at}.tool_calls.function.name`);
            if (c.string(call.function?.arguments, `${at}.tool_calls.function.arguments`))
                c.json(call.function.arguments, `${at}.tool_calls.function.arguments`);
            open.add(call.id);
        }
        if (m.role !== 'assistant')
            c.that(typeof m.content === 'string' || Array.isArray(m.content), `${at}.content`);
    });
    c.that(open.size === 0, 'the last tool calls have no result');
}

export function check(req, c) {
    const b = req.body;
    c.that(/^Bearer \S+$/.test(req.headers.authorization ?? ''), 'authorization: expected Bearer');
    c.string(b.model, 'model');
    if (req.op === 'embed') {
        c.that(typeof b.input === 'string' || Array.isArray(b.input), 'input');
        return;
    }
    c.keys(b, FIELDS, 'body');
    if (c.list(b.messages, 'messages') && c.that(b.messages.length > 0, 'messages: empty'))
        checkMessages(b.messages, c);
    c.that(!b.stream_options || b.stream === true, 'stream_options without stream');
    for (const tool of b.tools ?? []) {
        c.that(tool.type === 'function', 'tools.type');
        c.string(tool.function?.name, 'tools.function.name');
        if (tool.function?.parameters !== undefined)
            c.object(tool.function.parameters, 'tools.function.parameters');
    }
    c.that(!b.tool_choice || (b.tools ?? []).length > 0, 'tool_choice without tools');
}

export function read(req) {
    const b = req.body;
    if (req.op === 'embed') return { model: b.model, stream: false };
    const users = b.messages.filter((m) => m.role === 'user');
    const last = b.messages.at(-1);
    return {
        model: b.model,
        stream: b.stream === true,
        lastUser: contentText(users.at(-1)?.content),
        tools: (b.tools ?? []).map((t) => t.function.name),
        toolsForced: b.tool_choice === 'required' || typeof b.tool_choice === 'object',
        results: last?.role === 'tool'
            ? b.messages.filter((m) => m.role === 'tool').map((m) => ({ text: contentText(m.content) })) : [],
        maxTokens: b.max_completion_tokens ?? b.max_tokens,
        schema: b.response_format?.type === 'json_schema' ? b.response_format.json_schema.schema : null,
        inputText: b.messages.map((m) => contentText(m.content)).join(''),
        wantsUsage: b.stream_options?.include_usage === true,
    };
}

const FINISH = { stop: 'stop', length: 'length', tool: 'tool_calls' };
const usageOf = (a) => ({
    prompt_tokens: a.usage.input,
    completion_tokens: a.usage.output,
    total_tokens: a.usage.input + a.usage.output,
    prompt_tokens_details: { cached_tokens: a.usage.cached },
    completion_tokens_details: { reasoning_tokens: 0 },
});

export function whole(a, does) {
    return {
        id: 'chatcmpl-up', object: 'chat.completion', created: 1700000000, model: a.model,
        choices: [{
            index: 0, logprobs: null, finish_reason: FINISH[a.finish],
            message: {
                role: 'assistant', refusal: null,
                content: a.calls.length ? null : a.chunks.join(''),
                ...(a.calls.length && {
                    tool_calls: a.calls.map((call) => ({
                        id: `call_${call.id}`, type: 'function',
                        function: { name: call.name, arguments: JSON.stringify(call.args) },
                    })),
                }),
            },
        }],
        ...(does.nousage ? {} : { usage: usageOf(a) }),
    };
}

const frame = (object, isContent) => ({ raw: `data: ${JSON.stringify(object)}\n\n`, isContent });

function callDeltas(a, does) {
    const deltas = [];
    a.calls.forEach((call, i) => {
        const index = does.noindex ? {} : { index: does.zeroindex ? 0 : i };
        const args = JSON.stringify(call.args);
        const half = args.length >> 1;
        deltas.push({ ...index, id: `call_${call.id}`, type: 'function', function: { name: call.name, arguments: '' } });
        // without an index a fragment can only be told apart by its id
        const id = does.noindex || does.zeroindex ? { id: `call_${call.id}` } : {};
        deltas.push({ ...index, ...id, function: { arguments: args.slice(0, half) } });
        deltas.push({ ...index, ...id, function: { arguments: args.slice(half) } });
    });
    return deltas;
}

export function stream(a, does, asked) {
    const base = { id: 'chatcmpl-up', object: 'chat.completion.chunk', created: 1700000000, model: a.model, obfuscation: 'xyz' };
    const usage = asked.wantsUsage ? { usage: null } : {};
    const chunk = (delta, finish, isContent) => frame({
        ...base, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }], ...usage,
    }, isContent);
    return [
        chunk({ role: 'assistant', content: a.calls.length ? null : '' }, null, false),
        ...a.chunks.map((text) => chunk({ content: text }, null, true)),
        ...callDeltas(a, does).map((delta) => chunk({ tool_calls: [delta] }, null, true)),
        chunk({}, FINISH[a.finish], false),
        ...(asked.wantsUsage && !does.nousage
            ? [{ ...frame({ ...base, choices: [], usage: usageOf(a) }, false), isLate: does.lateusage }] : []),
        { raw: 'data: [DONE]\n\n' },
    ];
}
export const streamType = 'text/event-stream; charset=utf-8';

export function embed(req) {
    const inputs = [].concat(req.body.input);
    const encode = (v) => req.body.encoding_format === 'base64'
        ? Buffer.from(new Float32Array(v).buffer).toString('base64') : v;
    return {
        object: 'list', model: req.body.model,
        data: inputs.map((text, index) => ({ object: 'embedding', index, embedding: encode(embedding(String(text))) })),
        usage: { prompt_tokens: inputs.length * 4, total_tokens: inputs.length * 4 },
    };
}

const TYPES = { 400: 'invalid_request_error', 401: 'authentication_error', 429: 'rate_limit_error' };
export const error = (status, message) => ({
    error: { message, type: TYPES[status] ?? 'server_error', param: null, code: null },
});
export const streamError = (message) => `data: ${JSON.stringify({ error: { message, type: 'server_error', code: null, param: null } })}\n\n`;
