// SPDX-License-Identifier: Apache-2.0
// Memory stays flat: many requests of every kind, then many streams whose clients leave. Alone:
// node memory.mjs [REQUESTS CANCELLED], 100000 and 10000 by default.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeKey, startNode, until } from '../e2e/support/node.mjs';
import { load, startMock } from './mock.mjs';

const CLIENTS = 32;
const MIB = 1 << 20;

/** Anonymous memory; what is mapped from files comes and goes with the kernel. */
const memory = (pid) => Number(/RssAnon:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Growth from the second to the last fifth of the samples: warming up does not count. */
function growth(samples) {
    assert.ok(samples.length >= 5, `${samples.length} samples`);
    const fifth = Math.max(1, Math.floor(samples.length / 5));
    return median(samples.slice(-fifth)) - median(samples.slice(fifth, 2 * fifth));
}

const messages = [{ role: 'user', content: 'cut-000000 what is the weather like, and why?' }];
const KINDS = [
    ['whole, as it is', '/v1/chat/completions', { model: 'up/m', messages }],
    ['stream, as it is', '/v1/chat/completions', { model: 'up/m', messages, stream: true }],
    ['whole, translated', '/v1/messages', { model: 'up/m', messages, max_tokens: 100 }],
    ['stream, translated', '/v1/messages', { model: 'up/m', messages, max_tokens: 100, stream: true }],
];

/** @return {requests, cancelled, grown: {requests, cancelled}, peak} in bytes */
export async function memorySoak({ requests, cancelled, batchMs = 100, limitBytes = 4 * MIB, say = () => {} }) {
    const key = makeKey('soak');
    const mock = await startMock({ tokens: 16 });
    // memory that the sanitizer holds back would look like a leak; real ones it reports at the end
    const node = await startNode({
        keys: [key.config], endpoints: [{ name: 'up', dialect: 'openai', url: mock.url, api_key: 'k' }],
        prices: [{ model: 'up/*', input: '1USD', output: '1USD' }], log: { level: 'error' },
    }, { ASAN_OPTIONS: 'quarantine_size_mb=1:thread_local_quarantine_size_kb=16:malloc_context_size=4' });
    node.auth = { authorization: `Bearer ${key.key}` };
    const result = { requests: 0, cancelled: 0, grown: {} };
    try {
        const files = KINDS.map(([, , body], i) => {
            const file = path.join(node.home, `body-${i}.json`);
            fs.writeFileSync(file, JSON.stringify(body));
            return file;
        });
        const common = { connections: CLIENTS, header: [`Authorization: Bearer ${key.key}`] };
        const samples = [];
        for (let i = 0; result.requests < requests; i++) {
            const [kind, to] = KINDS[i % KINDS.length];
            const got = await load(node.port, { mode: 'closed', path: to, body: files[i % KINDS.length], milliseconds: batchMs, ...common });
            assert.equal(got.errors, 0, `${kind}: ${JSON.stringify(got.error_kinds)}`);
            result.requests += got.requests;
            if (i % KINDS.length === KINDS.length - 1) samples.push(memory(node.pid));
            say(`${result.requests} requests, ${(memory(node.pid) / MIB).toFixed(1)} MiB`);
        }
        result.grown.requests = growth(samples);

        await mock.set({ tokens: 400, 'gap-ms': 5 });
        const cuts = [];
        for (let i = 0; result.cancelled < cancelled; i++) {
            const kind = i % 2 === 0 ? 1 : 3;
            const got = await load(node.port, { mode: 'cut', path: KINDS[kind][1], body: files[kind], 'cut-tokens': 3, ...common, connections: 50 });
            result.cancelled += got.cuts.length;
            if (i % 2 === 1) cuts.push(memory(node.pid));
            say(`${result.cancelled} cancelled, ${(memory(node.pid) / MIB).toFixed(1)} MiB`);
        }
        await until(async () => (await mock.stats()).busy === 0, 'the provider has no stream left');
        assert.equal((await mock.stats()).aborts, result.cancelled, 'each stream ended upstream when its client left');
        result.grown.cancelled = growth(cuts);
        result.peak = Math.max(...samples, ...cuts);

        const rows = await until(() => { const r = node.rows(); return r.length === result.requests + result.cancelled && r; }, 'a row per request', 30000, 200);
        assert.equal(rows.filter((r) => r.outcome === 'ok').length, result.requests);
        assert.equal(rows.filter((r) => r.outcome === 'client_gone').length, result.cancelled);
        assert.ok(result.grown.requests <= limitBytes, `grown by ${result.grown.requests} bytes over ${result.requests} requests`);
        assert.ok(result.grown.cancelled <= limitBytes, `grown by ${result.grown.cancelled} bytes over ${result.cancelled} cancelled streams`);
        await node.stop();
        return result;
    } finally {
        if (node.exit === null) await node.kill();
        node.remove();
        await mock.close();
    }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
    const [requests = 100000, cancelled = 10000] = process.argv.slice(2).map(Number);
    console.log(JSON.stringify(await memorySoak({ requests, cancelled, say: (text) => console.error(text) })));
}
