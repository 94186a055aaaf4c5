// SPDX-License-Identifier: Apache-2.0
// The scripted provider as Anthropic: Messages.

export const name = 'anthropic';

export function route(method, path) {
    return method === 'POST' && path === '/v1/messages' ? { op: 'chat' } : null;
}

const FIELDS = ['model', 'messages', 'max_tokens', 'system', 'stream', 'tools', 'tool_choice', 'temperature',
    'top_p', 'top_k', 'stop_sequences', 'metadata', 'thinking', 'service_tier', 'container', 'output_config',
    'output_format', 'cache_control', 'mcp_servers', 'context_management', 'inference_geo'];

const blocks = (content) => typeof content === 'string' ? [{ type: 'text', text: content }] : content ?? [];
const blockText = (content) => blocks(content).map((b) => b.text ?? '').join('');

function checkMessages(messages, c) {
    let open = new Set();
    c.that(messages[0]?.role === 'user', 'messages: the first role must be user');
    messages.forEach((m, i) => {
        const at = `messages[${i}]`;
        const last = messages[i - 1]?.role;
        c.that(m.role === 'user' || m.role === 'assistant', `${at}.role: ${m.role}`);
        c.that(m.role !== last, `${at}: roles must alternate`);
        c.that(blocks(m.content).length > 0, `${at}.content: empty`);
        if (m.role === 'user' && open.size > 0) {
            for (const b of blocks(m.content).filter((b) => b.type === 'tool_result'))
                c.that(open.delete(b.tool_use_id), `${at}: tool_use_id answers no tool_use`);
            c.that(open.size === 0, `${at}: tool_use without a tool_result right after it`);
        } else {
            c.that(!blocks(m.content).some((b) => b.type === 'tool_result'), `${at}: tool_result without tool_use`);
        }
        open = new Set();
        for (const b of blocks(m.content)) {
            c.string(b.type, `${at}.content.type`);
            if (b.type === 'text') c.that(typeof b.text === 'string' && b.text.length > 0, `${at}: text blocks must be non-empty`);
            if (b.type !== 'tool_use') continue;
            c.that(m.role === 'assistant', `${at}: tool_use of a user`);
            c.that(/^[a-zA-Z0-9_-]+$/.test(b.id ?? ''), `${at}.tool_use.id: ${b.id}`);
            c.object(b.input, `${at}.tool_use.input`);
            open.add(b.id);
        }
    });
    c.that(open.size === 0, 'the last tool_use has no tool_result');
}

export function check(req, c) {
    const b = req.body;
    c.that(/^\d{4}-\d\d-\d\d$/.test(req.headers['anthropic-version'] ?? ''), 'anthropic-version: one date expected');
    c.that(!!req.headers['x-api-key'] || /^Bearer /.test(req.headers.authorization ?? ''), 'x-api-key: required');
    c.keys(b, FIELDS, 'body');
    c.string(b.model, 'model');
    c.that(Number.isInteger(b.max_tokens) && b.max_tokens > 0, 'max_tokens: required');
    c.that(b.temperature === undefined || (b.temperature >= 0 && b.temperature <= 1), 'temperature: 0 to 1');
    if (c.list(b.messages, 'messages')) checkMessages(b.messages, c);
    for (const tool of b.tools ?? []) {
        c.string(tool.name, 'tools.name');
        c.that(tool.input_schema?.type === 'object', 'tools.input_schema.type: must be object');
    }
    if (b.tool_choice) c.that(['auto', 'any', 'tool', 'none'].includes(b.tool_choice.type), 'tool_choice.type');
}

export function read(req) {
    const b = req.body;
    const users = b.messages.filter((m) => m.role === 'user');
    const results = blocks(users.at(-1)?.content).filter((x) => x.type === 'tool_result');
    return {
        model: b.model,
        stream: b.stream === true,
        lastUser: users.map((m) => blockText(m.content)).filter((t) => t).at(-1) ?? '',
        tools: (b.tools ?? []).map((t) => t.name),
        toolsForced: ['any', 'tool'].includes(b.tool_choice?.type),
        results: results.map((r) => ({ text: blockText(r.content) })),
        maxTokens: b.max_tokens,
        schema: (b.output_config?.format ?? b.output_format)?.schema ?? null,
        inputText: b.messages.map((m) => blockText(m.content)).join(''),
    };
}

const STOP = { stop: 'end_turn', length: 'max_tokens', tool: 'tool_use' };

function usageOf(a) {
    return {
        input_tokens: a.usage.input - a.usage.cached, cache_read_input_tokens: a.usage.cached,
        cache_creation_input_tokens: 0, output_tokens: a.usage.output,
    };
}

export function whole(a, does) {
    return {
        id: 'msg_up', type: 'message', role: 'assistant', model: a.model, stop_reason: STOP[a.finish], stop_sequence: null,
        content: a.calls.length
            ? a.calls.map((call) => ({ type: 'tool_use', id: `toolu_${call.id}`, name: call.name, input: call.args }))
            : [{ type: 'text', text: a.chunks.join('') }],
        ...(does.nousage ? {} : { usage: usageOf(a) }),
    };
}

export function stream(a, does) {
    const frames = [];
    const send = (type, fields, isContent) => frames.push({
        raw: `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`, isContent,
    });
    const start = { ...whole(a, does), content: [], stop_reason: null };
    send('message_start', { message: { ...start, usage: { ...usageOf(a), output_tokens: 1 } } });
    send('ping', {});
    if (a.calls.length === 0) {
        send('content_block_start', { index: 0, content_block: { type: 'text', text: '' } });
        for (const text of a.chunks)
            send('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }, true);
        send('content_block_stop', { index: 0 });
    }
    a.calls.forEach((call, index) => {
        const args = JSON.stringify(call.args);
        const half = args.length >> 1;
        send('content_block_start', { index, content_block: { type: 'tool_use', id: `toolu_${call.id}`, name: call.name, input: {} } });
        for (const partial_json of ['', args.slice(0, half), args.slice(half)])
            send('content_block_delta', { index, delta: { type: 'input_json_delta', partial_json } }, true);
        send('content_block_stop', { index });
    });
    send('message_delta', { delta: { stop_reason: STOP[a.finish], stop_sequence: null }, usage: { output_tokens: a.usage.output } });
    send('message_stop', {});
    return frames;
}
export const streamType = 'text/event-stream; charset=utf-8';

const TYPES = { 400: 'invalid_request_error', 401: 'authentication_error', 404: 'not_found_error', 429: 'rate_limit_error', 529: 'overloaded_error' };
export const error = (status, message) => ({ type: 'error', error: { type: TYPES[status] ?? 'api_error', message }, request_id: 'req_up' });
export const streamError = (message) => `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: 'overloaded_error', message } })}\n\n`;
