"""Make the models that the sources hold."""

import hashlib
import json
from pathlib import Path

import numpy
from safetensors.numpy import save_file

MIB = 1 << 20


def sample(root):
    """A model of 40 MiB and some, with the names, sizes and types that readers meet.

    Sizes stand around the cache's block of 1 MiB. There is no empty directory and
    no executable file: an object store has neither.
    """
    root, random = Path(root), numpy.random.default_rng(1)
    write(root, "config.json", json.dumps({"model_type": "bert", "hidden_size": 384}).encode())
    write(root, "README.md", b"# A model made for the acceptance run\n")
    write(root, "empty.txt", b"")
    write(root, "deep/er/and/deep.json", b"{}")
    write(root, "a b#c%d?+é.txt", b"odd, and legal\n")
    write(root, "one-byte.bin", b"\x01")
    for name, size in (("block", MIB), ("block-less", MIB - 1), ("block-more", 3 * MIB + 1)):
        write(root, f"blocks/{name}.bin", random.bytes(size))
    for shard in range(1, 4):
        tensors(root / f"shards/model-{shard:05}-of-00003.safetensors", random, 2)
    tensors(root / "model.safetensors", random, 40)
    sums(root)


def change(root):
    """What a push changes: one text, one shard, one file more and one less."""
    root = Path(root)
    write(root, "config.json", json.dumps({"model_type": "gpt2"}).encode())
    tensors(root / "shards/model-00002-of-00003.safetensors", numpy.random.default_rng(2), 3)
    write(root, "added.txt", b"new in the second revision\n")
    (root / "one-byte.bin").unlink()
    sums(root)


def tensors(path, random, mib):
    """Tensors of several types that take about so many MiB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = mib * MIB // 2048
    replaced(path, lambda new: save_file(
        {
            "embeddings": random.standard_normal((rows, 448), dtype=numpy.float32),
            "half": random.standard_normal((rows, 64), dtype=numpy.float32).astype(numpy.float16),
            "ids": numpy.arange(rows, dtype=numpy.int64),
            "mask": numpy.arange(rows) % 3 == 0,
            "scalar": numpy.array(0.5, dtype=numpy.float64),
        },
        new,
    ))


def noise(mib):
    """So many MiB that nothing can shorten."""
    return numpy.random.default_rng(3).bytes(mib * MIB)


def write(root, name, content):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    replaced(path, lambda new: new.write_bytes(content))


def replaced(path, make):
    """Put a new file in the place of path in one step, as a careful program does."""
    new = path.parent / f".{path.name}.new"
    make(new)
    new.rename(path)


def sums(root):
    """Write what sha256sum -c checks."""
    lines = []
    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.name != "SHA256SUMS"):
        with path.open("rb") as f:
            lines.append(f"{hashlib.file_digest(f, 'sha256').hexdigest()}  {path.relative_to(root)}\n")
    write(root, "SHA256SUMS", "".join(lines).encode())
