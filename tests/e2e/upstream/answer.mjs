// SPDX-License-Identifier: Apache-2.0
// What the scripted provider answers, apart from any dialect: behaviours read from the model's
// name, and the text or tool calls that a conversation earns.

/** Behaviours stand in the model's name, joined by "+"; what follows a dot only makes the name
 *  unlike others: "drip-20+cut-5.mine".
 *
 *  ok              answers
 *  slow-MS         waits before the first byte
 *  drip-MS         waits before each chunk
 *  words-N         answers "w0 w1 ..." of N words
 *  fail-STATUS     always that status
 *  fail-N-then-ok  500 for the first N tries at this name
 *  rate-N-then-ok  429 with retry-after for the first N tries
 *  cut-K           the connection breaks after K chunks of content
 *  err-K           the dialect's own error in the stream after K chunks
 *  stall-K         silence after K chunks
 *  hang            never a byte
 *  badjson         200 and a body that is none
 *  huge            a text of 2 MiB
 *  noindex         OpenAI tool deltas without an index; zeroindex: all of them 0
 *  nousage         does not say what it used; lateusage: says so long after the finish
 *  two             two tool calls at once
 *  retry-after-MS  the wait that a 429 asks for (default 10)
 *  retry-date-S    a 429 asks for it as a date, so many seconds ahead */
export function behaviour(model) {
    const does = {};
    const name = model.replace(/^.*\//, '').replace(/\.[^.]*$/, '');
    for (const part of name.split('+')) {
        let m;
        if ((m = /^(fail|rate)-(\d+)-then-ok$/.exec(part)))
            does[m[1] + 'First'] = Number(m[2]);
        else if ((m = /^retry-after-(\d+)$/.exec(part)))
            does.retryAfter = Number(m[1]);
        else if ((m = /^retry-date-(\d+)$/.exec(part)))
            does.retryDate = Number(m[1]);
        else if ((m = /^([a-z]+)-(\d+)$/.exec(part)))
            does[m[1]] = Number(m[2]);
        else
            does[part] = true;
    }
    return does;
}

function text(asked, does) {
    if (does.huge)
        return Array.from({ length: 2048 }, () => 'x'.repeat(1023) + ' ');
    if (does.words !== undefined)
        return Array.from({ length: does.words }, (_, i) => `w${i} `);
    if (asked.results.length > 0)
        return ['It ', 'is: ', ...asked.results.map((r) => r.text + ' ')];
    if (asked.schema)
        return ['{"city"', ':"Par', 'is","n"', ':7}'];
    return ['You ', 'said: ', asked.lastUser, '.'];
}

const CITIES = ['Paris', 'Oslo'];

/** asked: {model, lastUser, tools: [name], toolsForced, results: [{text}], maxTokens, schema,
 *  inputText}. */
export function answerTo(asked, does) {
    const wantsTool = asked.tools.length > 0 && asked.results.length === 0 &&
        (/weather/i.test(asked.lastUser) || asked.toolsForced);
    const answer = { model: asked.model, chunks: [], calls: [], finish: 'stop' };

    if (wantsTool) {
        answer.calls = CITIES.slice(0, does.two ? 2 : 1).map((city) => ({
            id: Math.random().toString(36).slice(2, 12),
            name: asked.tools[0],
            args: { city },
        }));
        answer.finish = 'tool';
    } else {
        answer.chunks = text(asked, does);
        if (asked.maxTokens && answer.chunks.length > asked.maxTokens) {
            answer.chunks.length = asked.maxTokens;
            answer.finish = 'length';
        }
    }
    answer.usage = {
        input: 10 + asked.inputText.length % 50,
        output: answer.chunks.length + 7 * answer.calls.length,
        cached: 3,
    };
    return answer;
}

/** A vector that depends on the text alone. */
export function embedding(text) {
    const v = Array(8).fill(0);
    for (let i = 0; i < text.length; i++)
        v[i % 8] += text.charCodeAt(i) / 1024;
    return v.map((x) => Math.fround(x));
}
