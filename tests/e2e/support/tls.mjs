// SPDX-License-Identifier: Apache-2.0
// Certificates of an authority of the test's own, and nginx as the TLS and HTTP/2 end of a
// provider: a process of the test, with everything it writes in a folder of the test.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { guarded, until } from './node.mjs';

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'ignore'] });

/** A folder with an authority: {file, certify(name, alt) -> {cert, key}, remove()}. */
export class Authority {
    constructor() {
        this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'motet-e2e-ca-'));
        this.file = this.at('ca.pem');
        this.key = this.at('ca.key');
        openssl('req', '-x509', ...CURVE, '-days', '2', '-subj', '/CN=motet e2e', '-keyout', this.key, '-out', this.file);
    }

    at(name) { return path.join(this.dir, name); }

    /** @param alt for whom, as openssl names it: "IP:127.0.0.1" */
    certify(name, alt) {
        const made = { cert: this.at(`${name}.pem`), key: this.at(`${name}.key`) };
        const wish = this.at(`${name}.csr`);
        fs.writeFileSync(this.at(`${name}.ext`), `subjectAltName=${alt}\n`);
        openssl('req', '-new', ...CURVE, '-subj', `/CN=${name}`, '-keyout', made.key, '-out', wish);
        openssl('x509', '-req', '-in', wish, '-CA', this.file, '-CAkey', this.key, '-CAcreateserial', '-days', '2', '-extfile', this.at(`${name}.ext`), '-out', made.cert);
        return made;
    }

    remove() { fs.rmSync(this.dir, { recursive: true, force: true }); }
}

async function freePort() {
    const server = net.createServer();
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address();
    await new Promise((done) => server.close(done));
    return port;
}

const listens = (port) => new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); done(true); });
    socket.on('error', () => done(false));
});

/** One server of nginx before the upstream. fronts: {NAME: {cert, key, requests}}, requests: how
 *  many a connection may carry. */
export class Nginx {
    constructor(upstream, fronts) {
        this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'motet-e2e-nginx-'));
        this.log = path.join(this.dir, 'access.log');
        this.upstream = new URL(upstream.url).host;
        this.fronts = fronts;
    }

    text() {
        const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((t) => `${t}_temp_path ${this.dir}/${t};`).join(' ');
        const servers = Object.values(this.fronts).map((front) => `
    server {
        listen 127.0.0.1:${front.port} ssl http2;
        ssl_certificate ${front.cert};
        ssl_certificate_key ${front.key};
        keepalive_requests ${front.requests ?? 10000};
        location / { proxy_pass http://upstream; }
    }`);
        return `daemon off; master_process off; worker_processes 1;
pid ${this.dir}/pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
    log_format e2e '$server_port $connection $server_protocol $status $uri';
    access_log ${this.log} e2e;
    ${temp}
    client_max_body_size 64m;
    upstream upstream { server ${this.upstream}; keepalive 64; }
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffering off;
    proxy_read_timeout 60s;
${servers.join('')}
}
`;
    }

    async start() {
        const file = path.join(this.dir, 'nginx.conf');
        for (const front of Object.values(this.fronts)) {
            front.port = await freePort();
            front.url = `https://127.0.0.1:${front.port}`;
        }
        fs.writeFileSync(file, this.text());
        const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
        this.child = spawn(...guarded('nginx', ['-p', this.dir, '-c', file, '-e', 'stderr']), { env, stdio: ['ignore', 'ignore', 'pipe'] });
        this.said = '';
        this.child.stderr.on('data', (text) => { this.said += text; });
        this.ended = new Promise((done) => this.child.on('close', () => { this.isOver = true; done(); }));
        await until(async () => {
            if (this.isOver) throw new Error(`nginx ended at its start: ${this.said}`);
            return (await Promise.all(Object.values(this.fronts).map((f) => listens(f.port)))).every(Boolean);
        }, 'nginx listens');
        return this;
    }

    /** Requests that a front has answered: [{connection, protocol, status, path}]. */
    answered(name) {
        return fs.readFileSync(this.log, 'utf8').trim().split('\n').map((line) => line.split(' '))
            .filter(([port]) => Number(port) === this.fronts[name].port)
            .map(([, connection, protocol, status, at]) => ({ connection, protocol, status: Number(status), path: at }));
    }

    async stop() {
        this.child?.kill('SIGTERM');
        await this.ended;
        fs.rmSync(this.dir, { recursive: true, force: true });
    }
}
