// SPDX-License-Identifier: Apache-2.0
// What examples/ shows works as it stands there, and so do the four curls of README.md.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { LOCAL } from './support/world.mjs';
import { ROOT, motet, startNode } from './support/node.mjs';

let node;
let folder; // examples beside the official clients, where Node looks for them
before(async () => {
    node = await startNode({});
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'motet-examples-'));
    fs.symlinkSync(path.join(ROOT, 'tests/clients/node_modules'), path.join(folder, 'node_modules'));
    fs.cpSync(path.join(ROOT, 'examples'), folder, { recursive: true });
});
after(async () => {
    if (node && node.exit === null) await node.kill();
    node?.remove();
    if (folder) fs.rmSync(folder, { recursive: true });
});

function run(program, args) {
    const env = {
        PATH: process.env.PATH,
        MODEL: LOCAL,
        NODE: node.url,
        OPENAI_BASE_URL: `${node.url}/v1`,
        OPENAI_API_KEY: 'none',
        ANTHROPIC_BASE_URL: node.url,
        ANTHROPIC_API_KEY: 'none',
        GOOGLE_GEMINI_BASE_URL: node.url,
        GEMINI_API_KEY: 'none',
        OLLAMA_HOST: node.url,
    };
    return new Promise((done) => execFile(program, args, { env, timeout: 60000 },
        (error, out, err) => done({ code: error ? error.code ?? -1 : 0, out, err })));
}

const EXAMPLES = [
    ['openai.mjs', /^MOTET\n\{ colour: '(red|green)' \}\nMOTET is remembered\n$/],
    ['anthropic.mjs', /^\d+ tokens before anybody is asked\nMOTET\nend_turn, 5 tokens\n$/],
    ['gemini.mjs', /^MOTET\nM -?\d[^]*\nT -?\d/],
    ['ollama.mjs', /lab-mini:latest[^\n]*\nMOTET\n\[/],
];
for (const [file, wanted] of EXAMPLES) {
    test(`examples/${file}`, async () => {
        const ran = await run(process.execPath, [path.join(folder, file)]);
        assert.equal(ran.code, 0, ran.err);
        assert.match(ran.out, wanted);
    });
}

test('examples/curl.sh', async () => {
    const ran = await run('bash', [path.join(ROOT, 'examples/curl.sh')]);
    assert.equal(ran.code, 0, ran.err + ran.out);
    assert.match(ran.out, /"name":"weather"/);
    assert.match(ran.out, /"content":"\{\\"colour\\":/);
    assert.match(ran.out, /^x-motet-receipt: \w{26}/m);
});

test('examples/team.yaml is a configuration', async () => {
    const ran = await motet(['config', 'check', path.join(ROOT, 'examples/team.yaml')],
        { home: node.home, env: { OPENAI_API_KEY: 'a', ANTHROPIC_API_KEY: 'b' } });
    assert.equal(ran.code, 0, ran.err);
});

/* The letters come one by one, in whatever frames. */
test('every curl of README.md answers MOTET', async () => {
    const text = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
    const curls = text.match(/^curl [^]*?'$/gm).filter((one) => one.includes('upper motet'));
    assert.equal(curls.length, 4);
    for (const curl of curls) {
        const ran = await run('bash', ['-c', curl.replaceAll('http://127.0.0.1:7700', node.url)]);
        assert.equal(ran.code, 0, ran.err);
        const said = [...ran.out.matchAll(/"(?:content|text)":"([A-Z])"/g)].map((one) => one[1]).join('');
        assert.equal(said, 'MOTET', curl);
    }
});

test('the node ends cleanly', () => node.stop());
