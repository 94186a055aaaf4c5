// SPDX-License-Identifier: Apache-2.0
// kill -9 under load, again and again: the usage table opens, holds every acknowledged answer
// exactly once, and nothing twice. Alone: node kill.mjs [ROUNDS], 50 by default.
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { startNode, until } from '../e2e/support/node.mjs';
import { startMock } from './mock.mjs';

const WORKERS = 8;
const SPAN_MS = 400;

/** Ask until the node is gone. An answer counts as acknowledged once its last byte is here. */
async function worker(node, number, acknowledged, isOver) {
    for (let i = 0; !isOver(); i++) {
        const stream = i % 2 === 1;
        const id = `${number}-${i}-${Math.random().toString(36).slice(2)}`;
        try {
            const answer = await fetch(`${node.url}/v1/chat/completions`, {
                method: 'POST', headers: { 'content-type': 'application/json', 'x-request-id': id },
                body: JSON.stringify({ model: 'up/m', stream, messages: [{ role: 'user', content: 'x' }] }),
            });
            const text = await answer.text();
            const isWhole = stream ? text.endsWith('data: [DONE]\n\n') : text.endsWith('}');
            if (answer.status === 200 && isWhole) acknowledged.push({ id, receipt: answer.headers.get('x-motet-receipt') });
        } catch {
            return; // killed
        }
    }
}

function check(node, acknowledged) {
    const db = new DatabaseSync(path.join(node.data, 'ledger.db'), { readOnly: true });
    try {
        assert.equal(db.prepare('PRAGMA integrity_check').get().integrity_check, 'ok');
        const rows = db.prepare('SELECT receipt, request_id, outcome FROM usage').all();
        const byReceipt = new Map();
        const ids = new Set();
        for (const row of rows) {
            assert.ok(!byReceipt.has(row.receipt), `receipt ${row.receipt} twice`);
            assert.ok(!ids.has(row.request_id), `request ${row.request_id} twice`);
            byReceipt.set(row.receipt, row);
            ids.add(row.request_id);
        }
        for (const { id, receipt } of acknowledged) {
            const row = byReceipt.get(receipt);
            assert.ok(row, `an acknowledged answer is lost: ${receipt}`);
            assert.equal(row.request_id, id);
            assert.equal(row.outcome, 'ok');
        }
        return { rows: rows.length, interrupted: rows.filter((r) => r.outcome === 'interrupted').length };
    } finally { db.close(); }
}

export async function killSoak({ rounds, say = () => {} }) {
    const mock = await startMock({ tokens: 8 });
    const node = await startNode({
        endpoints: [{ name: 'up', dialect: 'openai', url: mock.url, api_key: 'k' }], log: { level: 'error' },
    });
    const acknowledged = [];
    try {
        for (let round = 1; round <= rounds; round++) {
            let isOver = false;
            const before = acknowledged.length;
            const workers = Array.from({ length: WORKERS }, (_, i) => worker(node, i, acknowledged, () => isOver));
            await until(() => acknowledged.length > before, 'answers come');
            await new Promise((done) => setTimeout(done, Math.random() * SPAN_MS));
            await node.kill();
            isOver = true;
            await Promise.all(workers);
            await node.start();
            say(`killed ${round} times, ${acknowledged.length} acknowledged`);
        }
        const status = await until(async () => await node.metric('motet_ledger_backlog_bytes') === 0 && node.status(), 'the journal is in the table');
        assert.ok(status);
        const found = check(node, acknowledged);
        await node.stop();
        return { rounds, acknowledged: acknowledged.length, ...found };
    } finally {
        if (node.exit === null) await node.kill();
        node.remove();
        await mock.close();
    }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
    console.log(JSON.stringify(await killSoak({ rounds: Number(process.argv[2] ?? 50), say: (text) => console.error(text) })));
