// SPDX-License-Identifier: Apache-2.0
// npm install @google/genai; GOOGLE_GEMINI_BASE_URL and GEMINI_API_KEY say where the node is.
import { GoogleGenAI } from '@google/genai';

const client = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY ?? 'none' });
const model = process.env.MODEL ?? 'lab-mini';

const stream = await client.models.generateContentStream({
    model, contents: 'upper motet', config: { temperature: 0 },
});
for await (const chunk of stream) process.stdout.write(chunk.text ?? '');
console.log();

const sure = await client.models.generateContent({
    model, contents: 'upper motet', config: { temperature: 0, responseLogprobs: true, logprobs: 2 },
});
for (const token of sure.candidates[0].logprobsResult.chosenCandidates) console.log(token.token, token.logProbability);
