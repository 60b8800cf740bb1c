"""Open a safetensors file by mmap and compare every tensor with another file's.

tensors.py FILE SOURCE
"""

import sys

import numpy
from safetensors import safe_open

path, source = sys.argv[1:]
with safe_open(path, framework="numpy") as got, safe_open(source, framework="numpy") as want:
    with open("/proc/self/maps") as maps:
        if not any(line.rstrip("\n").endswith(path) for line in maps):
            sys.exit(f"{path}: got read, want mapped")
    if sorted(got.keys()) != sorted(want.keys()) or not want.keys():
        sys.exit(f"{path}: got tensors {sorted(got.keys())}, want {sorted(want.keys())}")
    for name in want.keys():
        a, b = got.get_tensor(name), want.get_tensor(name)
        if a.dtype != b.dtype or not numpy.array_equal(a, b):
            sys.exit(f"{path}: {name}: got {a.dtype}{a.shape}, want {b.dtype}{b.shape} with the same values")
