// SPDX-License-Identifier: Apache-2.0
// The C tools that lie beside the node's program: a fast provider and a load driver.
import { execFile, spawn } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { MOTET, guarded, until } from '../e2e/support/node.mjs';

const BIN = path.dirname(MOTET);

function freePort() {
    return new Promise((done) => {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => done(port));
        });
    });
}

/** The mock provider. @return {url, set(settings), stats(), close()} */
export async function startMock(settings = {}) {
    const port = await freePort();
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = spawn(...guarded(path.join(BIN, 'mock_upstream'), ['--port', String(port), ...args]), { stdio: 'ignore' });
    process.on('exit', () => child.kill('SIGKILL'));
    const url = `http://127.0.0.1:${port}`;
    const get = async (what) => (await fetch(url + what)).text();
    await until(() => get('/stats').catch(() => null), 'the mock provider answers');
    return {
        url,
        set: (more) => get(`/control?${new URLSearchParams(more)}`),
        stats: async () => JSON.parse(await get('/stats')),
        close: () => new Promise((done) => { child.on('close', done); child.kill('SIGTERM'); }),
    };
}

/** Run the load driver once. @return what it printed */
export function load(port, options) {
    const args = ['--to', `127.0.0.1:${port}`];
    for (const [name, value] of Object.entries(options))
        for (const one of [].concat(value)) args.push(`--${name}`, String(one));
    return new Promise((resolve, reject) => execFile(path.join(BIN, 'load'), args, { maxBuffer: 1 << 26 },
        (error, out, err) => (error ? reject(new Error(`load: ${err || error}`)) : resolve(JSON.parse(out)))));
}
