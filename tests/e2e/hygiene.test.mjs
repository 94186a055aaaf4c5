// SPDX-License-Identifier: Apache-2.0
// The tests' own manners: what a test file has started ends with it, even when it is killed and
// can clean up nothing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ROOT, until } from './support/node.mjs';

/** Not a zombie either: who inherits it may be slow to bury it. */
function isAlive(pid) {
    try {
        const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
        return !'ZX'.includes(stat.slice(stat.lastIndexOf(')') + 2)[0]);
    } catch {
        return false;
    }
}

const at = (name) => JSON.stringify(path.join(ROOT, 'tests/e2e', name));
const SCRIPT = `
const { startNode } = await import(${at('support/node.mjs')});
const { Authority, Nginx } = await import(${at('support/tls.mjs')});
const ca = new Authority();
const nginx = await new Nginx({ url: 'http://127.0.0.1:9' }, { one: ca.certify('one', 'IP:127.0.0.1') }).start();
const node = await startNode();
console.log(JSON.stringify({ pids: [node.pid, nginx.child.pid], folders: [node.home, nginx.dir, ca.dir] }));
setInterval(() => {}, 1000);
`;

/** A test file that stays; under a shell, to be orphaned by its end. */
async function startFile(command, args) {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let out = '';
    child.stdout.on('data', (text) => { out += text; });
    const line = await until(() => out.includes('\n') && out, 'it has started all', 60000);
    return { child, ...JSON.parse(line) };
}

const INLINE = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', SCRIPT];
for (const [what, command, args] of [
    ['a test file that is killed', process.execPath, INLINE],
    ['a test file whose runner is killed', 'sh', ['-c', '"$0" "$@"; :', process.execPath, ...INLINE]],
])
    test(`${what} leaves no process behind`, async () => {
        const { child, pids, folders } = await startFile(command, args);
        try {
            assert.ok(pids.every(isAlive));
            child.kill('SIGKILL');
            await until(() => !pids.some(isAlive), () => `all end: ${pids.filter(isAlive)}`);
        } finally {
            for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL');
            for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
        }
    });
