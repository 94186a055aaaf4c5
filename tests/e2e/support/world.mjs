// SPDX-License-Identifier: Apache-2.0
// What most test files stand in: a scripted provider, and a node that knows it under every
// dialect. The last test of the file ends the node, which has to end well.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startUpstream } from '../upstream.mjs';
import { endpointsOf, startNode } from './node.mjs';

export const LOCAL = 'lab-mini';

/** @param configure (upstream) => configuration beside the endpoints
 *  @param key the tests' own key, for questions about the node itself
 *  @return {up, node}, filled before the first test */
export function world(configure = () => ({}), key = undefined) {
    const it = {};
    before(async () => {
        it.up = await startUpstream();
        const more = configure(it.up);
        it.node = await startNode({ ...more, endpoints: [...endpointsOf(it.up), ...(more.endpoints ?? [])] });
        if (key !== undefined) it.node.auth = { authorization: `Bearer ${key}` };
    });
    after(async () => {
        if (it.node && it.node.exit === null) await it.node.kill();
        it.node?.remove();
        await it.up?.close();
    });
    return it;
}

/** To be called last. */
export function ending(it) {
    test('nothing that the node sent upstream is against a provider\'s rules', () => {
        assert.deepEqual(it.up.violations, []);
    });
    test('the node ends cleanly', () => it.node.stop());
}
