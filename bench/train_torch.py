#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The peer of train_bench: the same model, batch and optimiser in PyTorch (eager, as people write
it), same arguments, same line of JSON; bf16 is its autocast."""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F

WARM_STEPS = 3


class Norm(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


def rotate(x, cos, sin):
    """Neighbouring pairs, as llama.cpp orders them."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Block(torch.nn.Module):
    def __init__(self, width, ff, heads, kv_heads, head_width):
        super().__init__()
        self.heads, self.kv_heads, self.head_width, self.ff = heads, kv_heads, head_width, ff
        self.attn_norm, self.ffn_norm = Norm(width), Norm(width)
        self.qkv = torch.nn.Linear(width, (heads + 2 * kv_heads) * head_width, bias=False)
        self.out = torch.nn.Linear(heads * head_width, width, bias=False)
        self.gate_up = torch.nn.Linear(width, 2 * ff, bias=False)
        self.down = torch.nn.Linear(ff, width, bias=False)

    def attend(self, x, cos, sin, mask):
        b, t, _ = x.shape
        h, k, d = self.heads, self.kv_heads, self.head_width
        q, key, value = self.qkv(x).split((h * d, k * d, k * d), -1)
        q = rotate(q.view(b, t, h, d).transpose(1, 2), cos, sin)
        key = rotate(key.view(b, t, k, d).transpose(1, 2), cos, sin)
        value = value.view(b, t, k, d).transpose(1, 2)
        if k != h:
            key = key.repeat_interleave(h // k, 1)
            value = value.repeat_interleave(h // k, 1)
        weights = torch.softmax(q @ key.transpose(-1, -2) / math.sqrt(d) + mask, -1)
        return self.out((weights @ value).transpose(1, 2).reshape(b, t, h * d))

    def forward(self, x, cos, sin, mask):
        x = x + self.attend(self.attn_norm(x), cos, sin, mask)
        gate, up = self.gate_up(self.ffn_norm(x)).split((self.ff, self.ff), -1)
        return x + self.down(F.silu(gate) * up)


class Model(torch.nn.Module):
    def __init__(self, layers, width, ff, heads, kv_heads, head_width, vocab, length):
        super().__init__()
        self.embd = torch.nn.Embedding(vocab, width)
        self.blocks = torch.nn.ModuleList(
            Block(width, ff, heads, kv_heads, head_width) for _ in range(layers))
        self.norm = Norm(width)
        for p in self.parameters():
            if p.dim() > 1:
                torch.nn.init.normal_(p, std=0.02)
        angle = torch.outer(torch.arange(length).float(),
                            10000.0 ** (-torch.arange(0, head_width, 2).float() / head_width))
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        self.register_buffer("mask", torch.full((length, length), -torch.inf).triu(1))

    def forward(self, tokens):
        x = self.embd(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin, self.mask)
        return self.norm(x) @ self.embd.weight.T


def main():
    numbers = [int(a) for a in sys.argv[1:-1]]
    is_bf16 = sys.argv[-1] == "bf16"
    layers, width, ff, heads, kv_heads, head_width, vocab, sequences, length, threads, seconds = \
        numbers
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = Model(layers, width, ff, heads, kv_heads, head_width, vocab, length)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95),
                                  weight_decay=0.1, foreach=True)
    tokens = torch.randint(vocab, (sequences, length))
    targets = torch.randint(vocab, (sequences, length))

    def step():
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            logits = model(tokens)
        loss = F.cross_entropy(logits.float().view(-1, vocab), targets.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    for _ in range(WARM_STEPS):
        step()
    began, steps = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        step()
        steps += 1
    params = sum(p.numel() for p in model.parameters())
    print(json.dumps({"params": params, "steps": steps, "version": torch.__version__,
                      "tokens_per_s": steps * sequences * length / (time.monotonic() - began)}))


if __name__ == "__main__":
    main()
