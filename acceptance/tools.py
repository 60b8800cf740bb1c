"""Everyday programs over a mounted model agree with what they say of the source."""

import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from report import call, equal
from trees import same


def run(stage, report):
    for source, shown in stage.samples().items():
        # The push of the part before this one has changed the Hub's model.
        want = stage.hub.directory / shown.relative_to(stage.at("transformers")) if source == "hub" else stage.sample
        for tool, check in TOOLS.items():
            with report.check(f"{source}: {tool}"), TemporaryDirectory(dir=stage.work) as copies:
                check(shown, want, Path(copies))


def sha256sum(shown, want, copies):
    lines = call("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=shown).splitlines()
    equal("files found right", len(lines), len((want / "SHA256SUMS").read_text().splitlines()))
    equal("words", {line.rsplit(": ")[-1] for line in lines}, {"OK"})


def cp(shown, want, copies):
    call("cp", "-r", "--no-target-directory", shown, copies / "cp")
    same(copies / "cp", want)


def tar(shown, want, copies):
    archive = copies / "model.tar"
    call("tar", "-C", shown, "-cf", archive, ".")
    with tarfile.open(archive) as members:
        members.extractall(copies / "tar", filter="data")
    same(copies / "tar", want)


def rsync(shown, want, copies):
    call("rsync", "-a", "--checksum", f"{shown}/", copies / "rsync")
    same(copies / "rsync", want)
    # A second run, between mount and source, finds nothing to send or to delete.
    differences = call("rsync", "-r", "--checksum", "--delete", "--dry-run", "--out-format=%o %n", f"{shown}/", want)
    equal("what rsync would do", differences, "")


def find(shown, want, copies):
    listing = "-type", "f", "-printf", "%P %s\n"
    equal("files and sizes", *(sorted(call("find", d, *listing).splitlines()) for d in (shown, want)))
    listing = "-mindepth", "1", "-type", "d", "-printf", "%P\n"
    equal("directories", *(sorted(call("find", d, *listing).splitlines()) for d in (shown, want)))
    equal("what is neither", call("find", shown, "!", "-type", "f", "!", "-type", "d"), "")


def git_diff(shown, want, copies):
    equal("difference", call("git", "diff", "--no-index", "--stat", shown, want), "")


TOOLS = {
    "sha256sum -c finds every file right": sha256sum,
    "cp -r copies what the source has": cp,
    "tar packs what the source has": tar,
    "rsync -a --checksum copies what the source has, and then finds no difference": rsync,
    "find lists the names and sizes of the source": find,
    "git diff --no-index finds no difference": git_diff,
}
