"""The Hub's own client as referee, on the same server, before and after a push."""

import time
from pathlib import Path

from huggingface_hub import snapshot_download

import models
from mount import tell
from report import equal
from servers import head
from stage import SAMPLE, SECRET, TOKEN, TTL
from trees import same, same_bytes


def run(stage, report):
    first = head(stage.hub, SAMPLE)
    main, pinned = stage.at("transformers", SAMPLE), stage.at("transformers", f"{SAMPLE}@{first}")
    agree(stage, report, main, "main", first, "before a push")
    agree(stage, report, pinned, first, first, "before a push")
    with report.check("hub: a private model reads as the client has it, with the token"):
        same(stage.at("transformers", SECRET), snapshot(stage, SECRET, "main", token=TOKEN))

    before = (main / "config.json").open("rb", buffering=0)
    models.change(stage.hub.directory / SAMPLE)
    second = stage.hub.push(SAMPLE)
    time.sleep(1.5 * TTL)
    with report.check("hub: after a push, the next open is of the new revision"):
        same_bytes(main / "config.json", stage.hub.directory / SAMPLE / "config.json")
        equal("revision", tell(main, "revision"), second)
    with report.check("hub: a file that was open before the push reads the old revision to its end"), before:
        equal("content", before.read(), (stage.sample / "config.json").read_bytes())
    agree(stage, report, main, "main", second, "after a push")
    agree(stage, report, pinned, first, first, "after a push")

    with report.check("hub: the network that hands out large files has never seen the token"):
        equal("violations", stage.hub.violations(), "")


def agree(stage, report, shown, revision, sha, when):
    """The client's snapshot of a revision is what the mount shows, byte for byte."""
    name = "main" if revision == "main" else "a pinned commit"
    with report.check(f"hub: {name} reads as the official client has it, {when}"):
        folder = snapshot(stage, SAMPLE, revision)
        equal("the client's revision", folder.name, sha)
        same(shown, folder)
        equal("revision", tell(shown, "revision"), sha)


def snapshot(stage, repo, revision, token=False):
    return Path(snapshot_download(
        repo, revision=revision, endpoint=stage.hub.endpoint, cache_dir=stage.work / "hf-cache", token=token
    ))
