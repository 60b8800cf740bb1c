"""Libraries that load models read the same from the mount as from the source."""

import json
import sys
from pathlib import Path

from report import Mismatch, call, equal
from servers import Gateway
from stage import MINILM

HERE = Path(__file__).parent


def run(stage, report):
    for source, shown in stage.samples().items():
        with report.check(f"{source}: safetensors maps a file, and its tensors equal the source's"):
            for name in ("model.safetensors", "shards/model-00001-of-00003.safetensors"):
                script("tensors.py", shown / name, stage.sample / name)

    shown = {
        "zoo": stage.at("zoo", stage.minilm.name),
        "s3": stage.at("s3", Gateway.bucket, MINILM),
        "hub": stage.at("transformers", MINILM),
    }
    # One process, because torch alone takes seconds to start.
    loaded = {}
    with report.check("sentence-transformers loads a real model from its own folder and from the mount", seconds=150):
        loaded = json.loads(script("embed.py", stage.minilm, *shown.values(), seconds=140))
        equal("shape", loaded[str(stage.minilm)]["shape"], [5, 384])
    for source, path in shown.items():
        with report.check(f"{source}: its embeddings are those that its own folder gives, to the last bit"):
            if not loaded:
                raise Mismatch("embeddings", "none", "some")
            equal("embeddings", loaded[str(path)], loaded[str(stage.minilm)])


def script(name, *arguments, seconds=60):
    """Run a program of this folder on its own: a mapped file that fails kills its process."""
    return call(sys.executable, "-B", HERE / name, *arguments, seconds=seconds)
