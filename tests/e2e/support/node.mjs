// SPDX-License-Identifier: Apache-2.0
// A node of motet under test: started with a home of its own on a free port, watched, ended. No
// process outlives its test, and an end that is not clean is an error.
import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const MOTET = process.env.MOTET_BIN ?? path.join(ROOT, 'build/dev/bin/motet');
const UP_MS = 60000;
const DOWN_MS = 30000;
const SANITIZER = /==\d+==ERROR|runtime error:|LeakSanitizer|ThreadSanitizer/;

const children = new Set();
process.on('exit', () => { for (const child of children) child.kill('SIGKILL'); });

// A test file whose runner was killed has nobody to report to.
const runner = process.ppid;
setInterval(() => { if (process.ppid !== runner) process.exit(1); }, 500).unref();

/** spawn()'s command and arguments for a process that ends with this one, however that ends. */
export const guarded = (command, args) => ['setpriv', ['--pdeathsig', 'KILL', '--', command, ...args]];

/** Look again and again until test() gives something true. */
export async function until(test, what, ms = 10000, everyMs = 10) {
    const end = performance.now() + ms;
    for (;;) {
        const value = await test();
        if (value) return value;
        if (performance.now() > end) throw new Error(`${typeof what === 'function' ? what() : what}: not in ${ms} ms`);
        await new Promise((done) => setTimeout(done, everyMs));
    }
}

/** A key as `motet key new` makes them, and how the configuration holds it. */
export function makeKey(name, more = {}) {
    const key = `mk-${randomBytes(32).toString('hex').slice(0, 52)}`;
    return { key, config: { name, hash: `sha256:${createHash('sha256').update(key).digest('hex')}`, ...more } };
}

function environment(home, more) {
    const env = { PATH: process.env.PATH, HOME: home, MOTET_HOME: home, LANG: 'C.UTF-8', ...more };
    for (const name of ['ASAN_OPTIONS', 'LSAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS'])
        if (process.env[name]) env[name] = process.env[name];
    env.UBSAN_OPTIONS ??= 'print_stacktrace=1:halt_on_error=1';
    return env;
}

/** Run the command once. @return {code, out, err} */
export function motet(args, { home, env = {}, input } = {}) {
    return new Promise((done) => {
        const child = execFile(MOTET, args, { env: environment(home, env), timeout: 60000, maxBuffer: 1 << 26 },
            (error, out, err) => done({ code: error ? error.code ?? -1 : 0, out, err }));
        if (input !== undefined) child.stdin.end(input); else child.stdin.end();
    });
}

export class Node {
    constructor(config, env) {
        this.home = fs.mkdtempSync(path.join(os.tmpdir(), 'motet-e2e-'));
        this.data = path.join(this.home, 'data');
        this.file = path.join(this.home, 'motet.yaml');
        this.env = env;
        this.err = '';
        this.configure(config);
    }

    /** Write the configuration (JSON is YAML), as an editor does: a new file in the old one's place. */
    configure(config) {
        this.config = {
            listen: '127.0.0.1:0', data_dir: this.data, discover: false, ...config,
        };
        this.write(JSON.stringify(this.config, null, 2) + '\n');
    }

    write(text) {
        fs.writeFileSync(`${this.file}.new`, text);
        fs.renameSync(`${this.file}.new`, this.file);
    }

    async start() {
        this.exit = null;
        const from = this.err.length;
        const child = spawn(...guarded(MOTET, ['up', '--config', this.file]),
            { env: environment(this.home, this.env), stdio: ['ignore', 'pipe', 'pipe'] });
        this.child = child;
        children.add(child);
        child.stdout.on('data', (text) => { this.err += text; });
        child.stderr.on('data', (text) => { this.err += text; });
        this.ended = new Promise((done) => child.on('close', (code, signal) => {
            children.delete(child);
            this.exit = { code, signal };
            done(this.exit);
        }));
        const m = await until(() => {
            if (this.exit) throw new Error(`the node ended at its start (${JSON.stringify(this.exit)}):\n${this.err}`);
            return /is up at (https?:\/\/\S+:(\d+))/.exec(this.err.slice(from));
        }, () => `the node is up (it said: ${this.err})`, UP_MS);
        this.url = m[1];
        this.port = Number(m[2]);
        return this;
    }

    get pid() { return this.child.pid; }
    signal(name) { this.child.kill(name); }

    /** End it as a service manager does; it must go with 0 and leave nothing behind. */
    async stop() {
        if (this.exit === null) {
            this.signal('SIGTERM');
            const timer = setTimeout(() => this.signal('SIGKILL'), DOWN_MS);
            await this.ended;
            clearTimeout(timer);
        }
        const { code, signal } = this.exit;
        const wrong = SANITIZER.exec(this.err);
        if (code !== 0 || wrong)
            throw new Error(`the node ended with ${code ?? signal}:\n${this.err.slice(wrong ? wrong.index - 200 : -4000).slice(0, 12000)}`);
        this.remove();
    }

    async kill() {
        this.signal('SIGKILL');
        await this.ended;
    }

    remove() { fs.rmSync(this.home, { recursive: true, force: true }); }

    /** Wait for a line of its log. */
    said(pattern, ms) { return until(() => pattern.exec(this.err), `the node says ${pattern}`, ms); }

    run(args, options = {}) { return motet(args, { home: this.home, env: { MOTET_CONFIG: this.file, ...this.env }, ...options }); }

    /** Rows of the usage table. */
    rows(where = '1') {
        const file = path.join(this.data, 'ledger.db');
        if (!fs.existsSync(file)) return [];
        const db = new DatabaseSync(file, { readOnly: true });
        try { return db.prepare(`SELECT * FROM usage WHERE ${where}`).all(); } finally { db.close(); }
    }

    /** The row of a receipt, once it is there. */
    row(receipt, ms = 5000) {
        return until(() => this.rows(`receipt = '${receipt}'`)[0], `row of ${receipt}`, ms, 25);
    }

    async status() {
        const response = await fetch(`${this.url}/motet/v1/status`, { headers: this.auth ?? {} });
        return response.json();
    }

    async metric(name) {
        const text = await (await fetch(`${this.url}/metrics`, { headers: this.auth ?? {} })).text();
        return Number(text.split('\n').find((line) => line.startsWith(name + ' ') || line.startsWith(name + '{'))?.split(' ').at(-1));
    }
}

export async function startNode(config = {}, env = {}) {
    const node = new Node(config, env);
    try { return await node.start(); } catch (error) { node.remove(); throw error; }
}

/** One endpoint per dialect of the scripted provider; "up-openai/MODEL" and so on. */
export function endpointsOf(upstream, more = {}) {
    return ['openai', 'openai-responses', 'anthropic', 'gemini', 'ollama'].map((dialect) => ({
        name: `up-${dialect}`, dialect, url: upstream.url, api_key: 'up-key', ...more,
    }));
}
