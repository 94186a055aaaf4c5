// SPDX-License-Identifier: Apache-2.0
// The short form of the soaks (tests/soak).
import { test } from 'node:test';
import { killSoak } from '../soak/kill.mjs';
import { memorySoak } from '../soak/memory.mjs';

test('memory is flat over requests and cancelled streams', async (t) => {
    const got = await memorySoak({ requests: 10000, cancelled: 1000, batchMs: 60, limitBytes: 8 << 20 });
    t.diagnostic(JSON.stringify(got));
});

test('kill -9 under load: nothing acknowledged is lost, nothing counted twice', async (t) => {
    t.diagnostic(JSON.stringify(await killSoak({ rounds: 8 })));
});
