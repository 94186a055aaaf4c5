// SPDX-License-Identifier: Apache-2.0
// A scripted provider on plain node:http that speaks every dialect as the real ones do, and is
// as strict about what it gets: a request that a real one would refuse is a 400 and is kept in
// `violations`. What it does with a request stands in the model's name (upstream/answer.mjs).
//
// In a test: const up = await startUpstream(); up.url, up.log, up.find(model), await up.close().
// Alone: node upstream.mjs PORT; GET /control/log, POST /control/reset.
import http from 'node:http';
import { pathToFileURL } from 'node:url';
import { answerTo, behaviour } from './upstream/answer.mjs';
import { Checks } from './upstream/check.mjs';
import * as anthropic from './upstream/anthropic.mjs';
import * as gemini from './upstream/gemini.mjs';
import * as ollama from './upstream/ollama.mjs';
import * as openai from './upstream/openai.mjs';
import * as responses from './upstream/responses.mjs';

const DIALECTS = [openai, responses, anthropic, gemini, ollama];
const RETRY_AFTER_MS = 10;
const CUT_MS = 30;

async function bodyOf(req) {
    const parts = [];
    for await (const part of req) parts.push(part);
    return Buffer.concat(parts).toString('utf8');
}

class Exchange {
    constructor(upstream, req, res) {
        this.upstream = upstream;
        this.res = res;
        this.timers = new Set();
        const url = new URL(req.url, 'http://upstream');
        this.record = {
            at: performance.now(), path: url.pathname, headers: req.headers, chunks: 0,
            violations: [], answeredAt: null, firstByteAt: null, abortedAt: null, endedAt: null,
        };
        res.on('close', () => this.closed());
        this.request = { headers: req.headers, query: url.searchParams };
    }

    closed() {
        for (const timer of this.timers) clearTimeout(timer);
        if (this.record.endedAt === null && !this.isOurCut) {
            this.record.abortedAt = performance.now();
            this.upstream.changed();
        }
    }

    wait(ms) {
        if (!ms) return Promise.resolve();
        return new Promise((done) => {
            const timer = setTimeout(() => { this.timers.delete(timer); done(); }, ms);
            this.timers.add(timer);
        });
    }

    send(status, object, headers = {}) {
        this.record.status = status;
        this.record.firstByteAt = performance.now();
        this.record.endedAt = performance.now();
        this.res.writeHead(status, { 'content-type': 'application/json', ...headers });
        this.res.end(typeof object === 'string' ? object : JSON.stringify(object));
        this.upstream.changed();
    }

    fail(status, message, headers) {
        this.send(status, this.dialect.error(status, message), headers);
    }

    async stream(answer) {
        const { does, dialect, res, record } = this;
        record.status = 200;
        record.firstByteAt = performance.now();
        res.writeHead(200, { 'content-type': dialect.streamType, 'cache-control': 'no-cache' });
        res.flushHeaders();
        for (const frame of dialect.stream(answer, does, this.asked)) {
            if (frame.isContent && record.chunks === does.cut) {
                this.isOurCut = true;
                await this.wait(CUT_MS); // what was said before it arrives
                res.destroy();
                return;
            }
            if (frame.isContent && record.chunks === does.err) {
                res.end(dialect.streamError('the upstream broke in the middle'));
                record.endedAt = performance.now();
                return;
            }
            if (frame.isContent && record.chunks === does.stall) return;
            if (frame.isContent || frame.isLate) await this.wait(does.drip ?? (frame.isLate ? 200 : 0));
            if (res.destroyed) return;
            if (!res.write(frame.raw)) await new Promise((done) => { res.once('drain', done); res.once('close', done); });
            if (frame.isContent) { record.chunks++; this.upstream.changed(); }
        }
        record.endedAt = performance.now();
        res.end();
        this.upstream.changed();
    }

    async chat() {
        const { does, record } = this;
        const tries = this.upstream.countTry(this.asked.model);
        if (does.hang) return;
        await this.wait(does.slow);
        if (this.res.destroyed) return;
        if (does.fail) return this.fail(does.fail, `scripted failure ${does.fail}`);
        if (tries <= (does.failFirst ?? 0)) return this.fail(500, `scripted failure, try ${tries}`);
        if (tries <= (does.rateFirst ?? 0)) {
            const ms = does.retryAfter ?? RETRY_AFTER_MS;
            if (does.retryDate !== undefined)
                return this.fail(429, 'slow down', { 'retry-after': new Date(Date.now() + does.retryDate * 1000).toUTCString() });
            return this.fail(429, 'slow down', { 'retry-after': String(Math.ceil(ms / 1000)), 'retry-after-ms': String(ms) });
        }
        if (does.badjson) return this.send(200, '{"this is": not json');
        const answer = answerTo(this.asked, does);
        record.usage = answer.usage;
        record.text = answer.chunks.join('');
        record.calls = answer.calls;
        if (this.asked.stream) return this.stream(answer);
        this.send(200, this.dialect.whole(answer, does));
    }

    async embed() {
        if (this.does.hang) return;
        await this.wait(this.does.slow);
        if (this.does.fail) return this.fail(this.does.fail, `scripted failure ${this.does.fail}`);
        this.send(200, this.dialect.embed(this.request));
    }

    async run(req) {
        const { record, request } = this;
        for (const dialect of DIALECTS) {
            const route = dialect.route(req.method, record.path);
            if (!route) continue;
            Object.assign(request, route);
            this.dialect = dialect;
            record.dialect = dialect.name;
            record.op = route.op;
        }
        const body = await bodyOf(req);
        if (!this.dialect) {
            record.violations.push(`no such path: ${req.method} ${record.path}`);
            this.dialect = openai;
            return this.fail(404, 'no such path');
        }
        const checks = new Checks();
        request.body = record.body = checks.json(body, 'body');
        if (checks.found.length === 0) this.dialect.check(request, checks);
        record.violations = checks.found;
        if (checks.found.length > 0) return this.fail(400, `violation: ${checks.found.join('; ')}`);
        this.asked = this.dialect.read(request);
        record.model = this.asked.model;
        record.isStream = this.asked.stream;
        this.does = behaviour(this.asked.model);
        this.upstream.changed();
        if (request.op === 'embed') return this.embed();
        return this.chat();
    }
}

export class Upstream {
    constructor() {
        this.log = [];
        this.tries = new Map();
        this.waiting = new Set();
        this.server = http.createServer((req, res) => this.serve(req, res));
        this.server.keepAliveTimeout = 30000;
    }

    serve(req, res) {
        if (req.url === '/control/log') return res.end(JSON.stringify(this.log));
        if (req.url === '/control/reset') { this.reset(); return res.end('{}'); }
        const exchange = new Exchange(this, req, res);
        this.log.push(exchange.record);
        exchange.run(req).catch((error) => {
            exchange.record.violations.push(String(error.stack));
            if (!res.headersSent) exchange.fail(500, String(error));
        });
    }

    countTry(model) {
        const n = (this.tries.get(model) ?? 0) + 1;
        this.tries.set(model, n);
        return n;
    }

    reset() { this.log.length = 0; this.tries.clear(); }
    changed() { for (const check of this.waiting) check(); }
    /** Requests for a model, oldest first. */
    find(model) { return this.log.filter((r) => r.model === model); }
    get violations() { return this.log.flatMap((r) => r.violations.map((v) => `${r.dialect} ${r.model}: ${v}`)); }

    /** Wait until test() is true; looked at after every change. */
    until(test, what, ms = 10000) {
        return new Promise((resolve, reject) => {
            const check = () => {
                const value = test();
                if (!value) return;
                clearTimeout(timer);
                this.waiting.delete(check);
                resolve(value);
            };
            const timer = setTimeout(() => { this.waiting.delete(check); reject(new Error(`upstream: ${what} did not happen in ${ms} ms`)); }, ms);
            this.waiting.add(check);
            check();
        });
    }

    listen(port = 0) {
        return new Promise((done) => this.server.listen(port, '127.0.0.1', () => {
            this.url = `http://127.0.0.1:${this.server.address().port}`;
            done(this);
        }));
    }

    close() {
        this.server.closeAllConnections();
        return new Promise((done) => this.server.close(done));
    }
}

export const startUpstream = () => new Upstream().listen();

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
    const up = await new Upstream().listen(Number(process.argv[2] ?? 0));
    console.log(up.url);
}
