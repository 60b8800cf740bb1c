"""Ask the test Hub for a repository with the official client, and print as JSON
what it got. The Go test that runs this compares it with what the provider gets.

    referee.py ENDPOINT REPO REVISION CACHE_DIR

The client checks on its own what it is sent: sizes, etags, commit ids.
"""

import hashlib
import json
import os
import sys

endpoint, repo, revision, cache = sys.argv[1:5]
os.environ.update(
    HF_ENDPOINT=endpoint,
    HF_HUB_CACHE=cache,
    HF_HUB_DISABLE_XET="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
)

import huggingface_hub
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def refused(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return True
    return False


api = HfApi()
folder = snapshot_download(repo, revision=revision)
files = {}
for parent, _, names in os.walk(folder):
    for name in names:
        path = os.path.join(parent, name)
        files[os.path.relpath(path, folder)] = digest(path)

tree = {}
for entry in api.list_repo_tree(repo, revision=revision, recursive=True):
    if hasattr(entry, "blob_id"):
        lfs = entry.lfs.sha256 if entry.lfs else None
        tree[entry.path] = {"size": entry.size, "git": entry.blob_id, "lfs": lfs}

info = api.model_info(repo, revision=revision, files_metadata=True)
refs = api.list_repo_refs(repo, include_pull_requests=True)
first = sorted(tree)[0]
json.dump(
    {
        "version": huggingface_hub.__version__,
        "sha": info.sha,
        "id": info.id,
        "modified": info.last_modified.isoformat(),
        "folder": os.path.basename(folder),
        "files": files,
        "tree": tree,
        "siblings": {s.rfilename: s.size for s in info.siblings},
        "branches": {r.name: r.target_commit for r in refs.branches},
        "pulls": {r.ref: r.target_commit for r in refs.pull_requests},
        "single": digest(hf_hub_download(repo, first, revision=revision, force_download=True)),
        "paths": [e.path for e in api.get_paths_info(repo, [first, "absent"], revision=revision)],
        "refused": [
            refused(RepositoryNotFoundError, api.model_info, "org/absent"),
            refused(RevisionNotFoundError, api.model_info, repo, revision="absent"),
            refused(EntryNotFoundError, hf_hub_download, repo, "absent", revision=revision),
        ],
    },
    sys.stdout,
)
