#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every dialect from a shell. NODE says where the node is, MODEL whom to ask.
set -euo pipefail
node=${NODE:-http://127.0.0.1:7700}
model=${MODEL:-lab-mini}

ask() { # ask PATH BODY [curl's options]: POST a body
    local path=$1 body=$2
    shift 2
    curl -sSN --fail-with-body "$@" "$node$path" -H 'content-type: application/json' -d "$body"
    echo
}

echo "== OpenAI, streamed"
ask /v1/chat/completions '{"model":"'"$model"'","stream":true,"temperature":0,
  "messages":[{"role":"user","content":"upper motet"}]}'

echo "== OpenAI Responses"
ask /v1/responses '{"model":"'"$model"'","temperature":0,"input":"copy hello"}'

echo "== Anthropic, streamed"
ask /v1/messages '{"model":"'"$model"'","max_tokens":32,"stream":true,"temperature":0,
  "messages":[{"role":"user","content":"upper motet"}]}' -H 'anthropic-version: 2023-06-01'

echo "== Gemini, streamed"
ask "/v1beta/models/$model:streamGenerateContent?alt=sse" '{
  "contents":[{"role":"user","parts":[{"text":"upper motet"}]}],
  "generationConfig":{"temperature":0}}'

echo "== Ollama, streamed"
ask /api/chat '{"model":"'"$model"'","options":{"temperature":0},
  "messages":[{"role":"user","content":"upper motet"}]}'

echo "== an answer that fits a JSON schema"
ask /v1/chat/completions '{"model":"'"$model"'","temperature":0,
  "messages":[{"role":"user","content":"copy red"}],
  "response_format":{"type":"json_schema","json_schema":{"name":"colour","schema":
    {"type":"object","properties":{"colour":{"enum":["red","green"]}},"required":["colour"]}}}}'

echo "== a tool that must be called"
ask /v1/chat/completions '{"model":"'"$model"'","temperature":0,
  "messages":[{"role":"user","content":"weather?"}],"tool_choice":"required",
  "tools":[{"type":"function","function":{"name":"weather","parameters":
    {"type":"object","properties":{"city":{"enum":["Oslo"]}},"required":["city"]}}}]}'

echo "== embeddings"
ask /v1/embeddings '{"model":"'"$model"'","input":["one","two"],"dimensions":4}'

echo "== what an answer's headers say: the receipt for 'motet explain', who answered, the cost"
ask /v1/chat/completions '{"model":"'"$model"'","temperature":0,
  "messages":[{"role":"user","content":"upper motet"}]}' -D - -o /dev/null | grep -i '^x-motet'
