"""Compare two directories byte for byte."""

import os
from pathlib import Path

from report import Mismatch, equal

PIECE = 1 << 20


def files(root):
    """The files below root, by their path in it; links to files count as files."""
    root = Path(root)

    def refuse(error):
        raise error

    return {
        str((Path(parent) / name).relative_to(root)): Path(parent) / name
        for parent, _, names in os.walk(root, onerror=refuse)
        for name in names
    }


def same(got, want):
    """Raise where the two directories differ in names, sizes or bytes."""
    got, want = files(got), files(want)
    equal("names of files", sorted(got), sorted(want))
    if not want:
        raise Mismatch("names of files", "none", "some")
    for name in sorted(want):
        same_bytes(got[name], want[name], name)


def same_bytes(got, want, name=""):
    name = name or str(got)
    equal(f"size of {name}", os.stat(got).st_size, os.stat(want).st_size)
    with open(got, "rb", buffering=0) as g, open(want, "rb", buffering=0) as w:
        offset = 0
        while piece := w.read(PIECE):
            other = b""
            while len(other) < len(piece) and (more := g.read(len(piece) - len(other))):
                other += more
            if other != piece:
                at = next((i for i, (a, b) in enumerate(zip(other, piece, strict=False)) if a != b), len(other))
                raise Mismatch(f"{name} at {offset + at}", other[at : at + 8].hex(), piece[at : at + 8].hex())
            offset += len(piece)
        equal(f"{name} after its end", g.read(1), b"")
