// SPDX-License-Identifier: Apache-2.0
// The scripted provider as OpenAI: Responses.

export const name = 'openai-responses';

export function route(method, path) {
    return method === 'POST' && path === '/v1/responses' ? { op: 'chat' } : null;
}

const FIELDS = ['model', 'input', 'instructions', 'stream', 'stream_options', 'tools', 'tool_choice',
    'parallel_tool_calls', 'max_output_tokens', 'temperature', 'top_p', 'text', 'store', 'metadata',
    'reasoning', 'include', 'user', 'previous_response_id', 'truncation', 'top_logprobs', 'service_tier',
    'safety_identifier', 'prompt_cache_key'];

const contentText = (content) => typeof content === 'string' ? content
    : (content ?? []).map((part) => part.text ?? '').join('');

export function check(req, c) {
    const b = req.body;
    const calls = new Set();
    c.that(/^Bearer \S+$/.test(req.headers.authorization ?? ''), 'authorization: expected Bearer');
    c.keys(b, FIELDS, 'body');
    c.string(b.model, 'model');
    if (typeof b.input === 'string' || !c.list(b.input, 'input')) return;
    b.input.forEach((item, i) => {
        const at = `input[${i}]`;
        if (item.type === 'function_call') {
            c.string(item.call_id, `${at}.call_id`);
            c.string(item.name, `${at}.name`);
            if (c.string(item.arguments, `${at}.arguments`)) c.json(item.arguments, `${at}.arguments`);
            calls.add(item.call_id);
        } else if (item.type === 'function_call_output') {
            c.that(calls.delete(item.call_id), `${at}: call_id answers no call`);
            c.that(typeof item.output === 'string' || Array.isArray(item.output), `${at}.output`);
        } else {
            c.that(item.type === undefined || item.type === 'message', `${at}.type: ${item.type}`);
            c.that(['user', 'assistant', 'system', 'developer'].includes(item.role), `${at}.role`);
            for (const part of Array.isArray(item.content) ? item.content : []) {
                const kinds = item.role === 'assistant' ? ['output_text', 'refusal'] : ['input_text', 'input_image', 'input_file'];
                c.that(kinds.includes(part.type), `${at}.content.type: ${part.type} of a ${item.role}`);
            }
        }
    });
    c.that(calls.size === 0, 'function calls without an output');
    for (const tool of b.tools ?? []) {
        c.that(tool.type === 'function', 'tools.type');
        c.string(tool.name, 'tools.name');
        c.object(tool.parameters ?? {}, 'tools.parameters');
    }
}

export function read(req) {
    const b = req.body;
    const items = typeof b.input === 'string' ? [{ role: 'user', content: b.input }] : b.input;
    const users = items.filter((item) => item.role === 'user');
    return {
        model: b.model,
        stream: b.stream === true,
        lastUser: contentText(users.at(-1)?.content),
        tools: (b.tools ?? []).map((t) => t.name),
        toolsForced: b.tool_choice === 'required' || typeof b.tool_choice === 'object',
        results: items.at(-1)?.type === 'function_call_output'
            ? items.filter((item) => item.type === 'function_call_output').map((item) => ({ text: contentText(item.output) })) : [],
        maxTokens: b.max_output_tokens,
        schema: b.text?.format?.type === 'json_schema' ? b.text.format.schema : null,
        inputText: items.map((item) => contentText(item.content)).join(''),
    };
}

function items(a) {
    if (a.calls.length)
        return a.calls.map((call) => ({
            type: 'function_call', id: `fc_${call.id}`, call_id: `call_${call.id}`, name: call.name,
            arguments: JSON.stringify(call.args), status: 'completed',
        }));
    return [{
        type: 'message', id: 'msg_up', role: 'assistant', status: 'completed',
        content: [{ type: 'output_text', text: a.chunks.join(''), annotations: [], logprobs: [] }],
    }];
}

function object(a, does, status, output) {
    return {
        id: 'resp_up', object: 'response', created_at: 1700000000, status, model: a.model, output,
        error: null, incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
        instructions: null, metadata: {}, parallel_tool_calls: true, temperature: 1, top_p: 1,
        tool_choice: 'auto', tools: [], text: { format: { type: 'text' } },
        usage: status === 'in_progress' || does.nousage ? null : {
            input_tokens: a.usage.input, output_tokens: a.usage.output,
            total_tokens: a.usage.input + a.usage.output,
            input_tokens_details: { cached_tokens: a.usage.cached },
            output_tokens_details: { reasoning_tokens: 0 },
        },
    };
}

const statusOf = (a) => a.finish === 'length' ? 'incomplete' : 'completed';
export const whole = (a, does) => object(a, does, statusOf(a), items(a));

export function stream(a, does) {
    const frames = [];
    let seq = 0;
    const send = (type, fields, isContent) => frames.push({
        raw: `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: seq++, ...fields })}\n\n`, isContent,
    });
    send('response.created', { response: object(a, does, 'in_progress', []) });
    send('response.in_progress', { response: object(a, does, 'in_progress', []) });
    items(a).forEach((item, output_index) => {
        const at = { output_index, item_id: item.id };
        if (item.type === 'message') {
            const part = { type: 'output_text', text: '', annotations: [], logprobs: [] };
            send('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', content: [] } });
            send('response.content_part.added', { ...at, content_index: 0, part });
            for (const delta of a.chunks)
                send('response.output_text.delta', { ...at, content_index: 0, delta, logprobs: [] }, true);
            send('response.output_text.done', { ...at, content_index: 0, text: a.chunks.join(''), logprobs: [] });
            send('response.content_part.done', { ...at, content_index: 0, part: item.content[0] });
        } else {
            send('response.output_item.added', { output_index, item: { ...item, arguments: '', status: 'in_progress' } });
            const half = item.arguments.length >> 1;
            for (const delta of [item.arguments.slice(0, half), item.arguments.slice(half)])
                send('response.function_call_arguments.delta', { ...at, delta }, true);
            send('response.function_call_arguments.done', { ...at, arguments: item.arguments });
        }
        send('response.output_item.done', { output_index, item });
    });
    send(`response.${statusOf(a)}`, { response: whole(a, does) });
    return frames;
}
export const streamType = 'text/event-stream; charset=utf-8';

export { error } from './openai.mjs';
export const streamError = (message) => `event: error\ndata: ${JSON.stringify({ type: 'error', sequence_number: 99, code: 'server_error', message, param: null })}\n\n`;
