#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""prune.py BASE OUTPUT SHARE: that share of each matrix's weights, the smallest, becomes zero.

It stands for any trainer that a job may run: files in, a GGUF file out, words on its output, and
exit status 0 only when the file is good. It needs nothing but Python."""
import struct
import sys

SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # type: bytes
STRING, ARRAY = 8, 9
FLOATS = {0: "f", 1: "e"}  # of a tensor: f32, f16


class Header:
    def __init__(self, data):
        self.data, self.at, self.alignment = data, 0, 32

    def take(self, form):
        value = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value[0]

    def text(self):
        n = self.take("Q")
        self.at += n
        return bytes(self.data[self.at - n : self.at]).decode()

    def value(self, kind):
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            kind, n = self.take("I"), self.take("Q")
            return [self.value(kind) for _ in range(n)]
        self.at += SCALARS[kind]
        return int.from_bytes(self.data[self.at - SCALARS[kind] : self.at], "little")

    def tensors(self):
        """Name, dimensions, type and place of each."""
        if self.data[:4] != b"GGUF":
            sys.exit("the base is no GGUF file")
        self.at = 8
        tensors_n, keys_n = self.take("Q"), self.take("Q")
        for _ in range(keys_n):
            key, value = self.text(), self.value(self.take("I"))
            self.alignment = value if key == "general.alignment" else self.alignment
        found = []
        for _ in range(tensors_n):
            name, dims_n = self.text(), self.take("I")
            dims = [self.take("Q") for _ in range(dims_n)]
            found.append((name, dims, self.take("I"), self.take("Q")))
        begin = -(-self.at // self.alignment) * self.alignment
        return [(name, dims, kind, begin + at) for name, dims, kind, at in found]


def prune(data, dims, kind, at, share):
    form = f"<{dims[0] * dims[1]}{FLOATS[kind]}"
    weights = struct.unpack_from(form, data, at)
    least = sorted(map(abs, weights))[int(share * len(weights))]
    struct.pack_into(form, data, at, *(0.0 if abs(w) < least else w for w in weights))
    return sum(abs(w) < least for w in weights)


def main():
    base, output, share = sys.argv[1], sys.argv[2], float(sys.argv[3])
    with open(base, "rb") as file:
        data = bytearray(file.read())
    for name, dims, kind, at in Header(data).tensors():
        if len(dims) == 2 and kind in FLOATS:
            print(f"{name}: {prune(data, dims, kind, at, share)} weights less", flush=True)
    with open(output, "wb") as file:
        file.write(data)


main()
