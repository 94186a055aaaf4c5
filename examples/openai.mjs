// SPDX-License-Identifier: Apache-2.0
// npm install openai; OPENAI_BASE_URL and OPENAI_API_KEY say where the node is.
import OpenAI from 'openai';

const client = new OpenAI();
const model = process.env.MODEL ?? 'lab-mini';

const stream = await client.chat.completions.create({
    model, temperature: 0, stream: true, messages: [{ role: 'user', content: 'upper motet' }],
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '');
console.log();

const { choices } = await client.chat.completions.create({
    model,
    temperature: 0,
    messages: [{ role: 'user', content: 'copy red' }],
    response_format: {
        type: 'json_schema',
        json_schema: {
            name: 'colour',
            schema: { type: 'object', properties: { colour: { enum: ['red', 'green'] } }, required: ['colour'] },
        },
    },
});
console.log(JSON.parse(choices[0].message.content));

// The node keeps what was said: the second question names the first answer.
const first = await client.responses.create({ model, temperature: 0, input: 'upper motet' });
const second = await client.responses.create({ model, temperature: 0, input: 'copy hello', previous_response_id: first.id });
console.log(first.output_text, second.previous_response_id === first.id ? 'is remembered' : 'is forgotten');
await client.responses.delete(first.id);
