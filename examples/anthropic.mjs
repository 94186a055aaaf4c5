// SPDX-License-Identifier: Apache-2.0
// npm install @anthropic-ai/sdk; ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY say where the node is.
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic();
const model = process.env.MODEL ?? 'lab-mini';
const messages = [{ role: 'user', content: 'upper motet' }];

const { input_tokens } = await client.messages.countTokens({ model, messages });
console.log(`${input_tokens} tokens before anybody is asked`);

const stream = client.messages.stream({ model, max_tokens: 32, temperature: 0, messages });
stream.on('text', (text) => process.stdout.write(text));
const answer = await stream.finalMessage();
console.log(`\n${answer.stop_reason}, ${answer.usage.output_tokens} tokens`);
