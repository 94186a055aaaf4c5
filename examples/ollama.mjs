// SPDX-License-Identifier: Apache-2.0
// npm install ollama; OLLAMA_HOST says where the node is.
import { Ollama } from 'ollama';

const client = new Ollama({ host: process.env.OLLAMA_HOST ?? 'http://127.0.0.1:7700' });
const model = process.env.MODEL ?? 'lab-mini';

console.log((await client.list()).models.map((one) => one.name).join(' '));

const stream = await client.chat({
    model, stream: true, options: { temperature: 0 }, messages: [{ role: 'user', content: 'upper motet' }],
});
for await (const part of stream) process.stdout.write(part.message.content);
console.log();

const { embeddings } = await client.embed({ model, input: ['one', 'two'], dimensions: 4 });
console.log(embeddings);
