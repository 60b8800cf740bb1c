"""Embed a few sentences with the model of each folder, and print what came out.

embed.py FOLDER...
"""

import hashlib
import json
import os
import sys

# A path is all that the library gets: nothing may come from elsewhere.
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from sentence_transformers import SentenceTransformer

SENTENCES = [
    "A plain file path is all that a loader needs.",
    "The bytes arrive when they are read.",
    "Ein Satz in einer anderen Sprache, mit Umlauten: äöü.",
    "",
    "word " * 300,
]

torch.set_num_threads(1)  # sums in one order give one result
torch.manual_seed(0)
out = {}
for folder in sys.argv[1:]:
    vectors = SentenceTransformer(folder, device="cpu").encode(SENTENCES)
    out[folder] = {
        "shape": list(vectors.shape),
        "norm": round(float((vectors**2).sum()), 3),
        "different": len({v.tobytes() for v in vectors}),
        "sha256": hashlib.sha256(vectors.tobytes()).hexdigest(),
    }
print(json.dumps(out))
