// SPDX-License-Identifier: Apache-2.0
// The scripted provider as Gemini: generateContent, streamGenerateContent, embeddings.
import { embedding } from './answer.mjs';

export const name = 'gemini';

export function route(method, path) {
    const m = /^\/v1(?:beta)?\/models\/([^/:]+):(\w+)$/.exec(path);
    const op = { generateContent: 'chat', streamGenerateContent: 'chat', embedContent: 'embed', batchEmbedContents: 'embed' }[m?.[2]];
    return method === 'POST' && op ? { op, model: decodeURIComponent(m[1]), method: m[2] } : null;
}

const FIELDS = ['contents', 'systemInstruction', 'system_instruction', 'tools', 'toolConfig', 'generationConfig', 'safetySettings', 'cachedContent', 'labels'];
const CONFIG = ['temperature', 'topP', 'topK', 'maxOutputTokens', 'candidateCount', 'stopSequences', 'seed', 'responseMimeType',
    'responseSchema', 'responseJsonSchema', 'presencePenalty', 'frequencyPenalty', 'responseLogprobs', 'logprobs',
    'thinkingConfig', 'responseModalities', 'speechConfig', 'mediaResolution'];

const partsText = (content) => (content?.parts ?? []).map((p) => p.text ?? '').join('');

function checkContents(contents, c) {
    let open = [];
    contents.forEach((content, i) => {
        const at = `contents[${i}]`;
        c.that(content.role === undefined || content.role === 'user' || content.role === 'model', `${at}.role: ${content.role}`);
        if (!c.list(content.parts, `${at}.parts`)) return;
        c.that(content.parts.length > 0, `${at}.parts: empty`);
        const responses = content.parts.filter((p) => p.functionResponse);
        if (open.length > 0) {
            c.that(responses.length === open.length, `${at}: ${open.length} calls, ${responses.length} responses`);
            open = [];
        } else {
            c.that(responses.length === 0, `${at}: functionResponse without functionCall`);
        }
        for (const p of content.parts) {
            if (p.functionResponse) {
                c.string(p.functionResponse.name, `${at}.functionResponse.name`);
                c.object(p.functionResponse.response, `${at}.functionResponse.response`);
            }
            if (!p.functionCall) continue;
            c.that(content.role === 'model', `${at}: functionCall of a user`);
            c.string(p.functionCall.name, `${at}.functionCall.name`);
            c.object(p.functionCall.args ?? {}, `${at}.functionCall.args`);
            open.push(p.functionCall.name);
        }
    });
    c.that(open.length === 0, 'the last functionCall has no functionResponse');
}

export function check(req, c) {
    const b = req.body;
    c.that(!!req.headers['x-goog-api-key'] || req.query.has('key'), 'x-goog-api-key: required');
    if (req.op === 'embed') return;
    c.keys(b, FIELDS, 'body');
    c.keys(b.generationConfig, CONFIG, 'generationConfig');
    if (req.method === 'streamGenerateContent') c.that(req.query.get('alt') === 'sse', 'alt=sse expected');
    if (c.list(b.contents, 'contents')) checkContents(b.contents, c);
    for (const tool of b.tools ?? [])
        for (const f of tool.functionDeclarations ?? []) {
            c.string(f.name, 'functionDeclarations.name');
            const schema = f.parameters;
            if (schema) c.that(schema.additionalProperties === undefined && schema.$schema === undefined,
                'functionDeclarations.parameters: fields of JSON schema that Gemini refuses');
        }
}

export function read(req) {
    const b = req.body;
    if (req.op === 'embed') return { model: req.model, stream: false };
    const config = b.generationConfig ?? {};
    const users = b.contents.filter((x) => x.role !== 'model');
    const tools = (b.tools ?? []).flatMap((t) => t.functionDeclarations ?? []).map((f) => f.name);
    return {
        model: req.model,
        stream: req.method === 'streamGenerateContent',
        lastUser: users.map(partsText).filter((t) => t).at(-1) ?? '',
        tools,
        toolsForced: b.toolConfig?.functionCallingConfig?.mode === 'ANY',
        results: (users.at(-1)?.parts ?? []).filter((p) => p.functionResponse)
            .map((p) => ({ text: Object.values(p.functionResponse.response).map((v) => typeof v === 'string' ? v : JSON.stringify(v)).join(' ') })),
        maxTokens: config.maxOutputTokens,
        schema: config.responseSchema ?? config.responseJsonSchema ?? null,
        inputText: b.contents.map(partsText).join(''),
    };
}

const FINISH = { stop: 'STOP', length: 'MAX_TOKENS', tool: 'STOP' };

function object(a, does, parts, isLast) {
    return {
        candidates: [{ content: { role: 'model', parts }, index: 0, ...(isLast && { finishReason: FINISH[a.finish] }) }],
        modelVersion: a.model, responseId: 'gemini-up',
        ...(isLast && !does.nousage && {
            usageMetadata: {
                promptTokenCount: a.usage.input, candidatesTokenCount: a.usage.output,
                cachedContentTokenCount: a.usage.cached, totalTokenCount: a.usage.input + a.usage.output,
            },
        }),
    };
}

const callParts = (a) => a.calls.map((call) => ({ functionCall: { name: call.name, args: call.args } }));
export const whole = (a, does) => object(a, does, a.calls.length ? callParts(a) : [{ text: a.chunks.join('') }], true);

export function stream(a, does) {
    const parts = [...a.chunks.map((text) => ({ text })), ...callParts(a)];
    const frames = parts.map((part) => ({ raw: `data: ${JSON.stringify(object(a, does, [part], false))}\r\n\r\n`, isContent: true }));
    frames.push({ raw: `data: ${JSON.stringify(object(a, does, [{ text: '' }], true))}\r\n\r\n` });
    return frames;
}
export const streamType = 'text/event-stream';

export function embed(req) {
    const values = (content) => ({ values: embedding(partsText(content)) });
    return req.method === 'embedContent'
        ? { embedding: values(req.body.content) }
        : { embeddings: req.body.requests.map((r) => values(r.content)) };
}

const STATUS = { 400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND', 429: 'RESOURCE_EXHAUSTED', 503: 'UNAVAILABLE' };
export const error = (status, message) => ({ error: { code: status, message, status: STATUS[status] ?? 'INTERNAL' } });
export const streamError = (message) => JSON.stringify(error(503, message), null, 2);
