"""What a user meets when a source or the mount itself dies."""

import errno
import os
import signal
import subprocess
import sys
import time

import models
from mount import mounted, tell
from report import Mismatch, at_most, call, equal, eventually, refused
from servers import Gateway
from stage import BIG, DEADLINE, SAMPLE, TTL
from trees import same, same_bytes

# Maps a file, and reads it when its input ends.
MAP = """
import mmap, sys
with open(sys.argv[1], "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
    print("mapped", flush=True)
    sys.stdin.read()
    print(len(m[:]))
"""

# Within the deadline and what a busy machine adds to it.
LATEST = DEADLINE + 3


def run(stage, report):
    source_dies(stage, report)
    mount_dies(stage, report)
    leaving(stage, report)


def source_dies(stage, report):
    cold = stage.work / "zoo" / "acceptance" / "cold"
    models.write(cold, "weights.bin", models.noise(8))
    stage.gateway.put(cold, "acceptance/cold")
    sample, shown = stage.samples()["s3"], stage.at("s3", Gateway.bucket, "acceptance/cold")
    same(sample, stage.sample)  # now it is cached
    equal("names", os.listdir(shown), ["weights.bin"])  # its listing is, its content is not

    stage.gateway.kill()
    time.sleep(1.5 * TTL)
    with report.check("S3 server killed: a cached model reads as before, and says that it is stale"):
        same(sample, stage.sample)
        equal("stale", tell(sample / "config.json", "stale"), "true")
    with report.check("S3 server killed: uncached content is listed with its size, and is EIO within the deadline"):
        equal("size", (shown / "weights.bin").stat().st_size, (cold / "weights.bin").stat().st_size)
        start = time.monotonic()
        refused(shown / "weights.bin", errno.EIO)
        at_most("seconds", time.monotonic() - start, LATEST)
    time.sleep(1.5 * TTL)
    with report.check("S3 server killed: a listing that fails takes no cached file away"):
        try:
            os.listdir(sample.parent)  # it was never listed before
        except OSError as e:
            equal("error of the listing", errno.errorcode[e.errno], "EIO")
        same_bytes(sample / "config.json", stage.sample / "config.json")
    with report.check("S3 server killed: a name never asked about is EIO within the deadline, and not absent"):
        start = time.monotonic()
        refused(stage.at("s3", "another-bucket", "model", "config.json"), errno.EIO)
        at_most("seconds", time.monotonic() - start, LATEST)
    with report.check("S3 server killed: the other sources answer at once", 10):
        start = time.monotonic()
        same_bytes(stage.samples()["zoo"] / "config.json", stage.sample / "config.json")
        same_bytes(stage.samples()["hub"] / "config.json", stage.hub.directory / SAMPLE / "config.json")
        at_most("seconds", time.monotonic() - start, 2)

    stage.gateway.start()
    with report.check("S3 server back: what was refused reads, with the right bytes", 30):
        eventually(20, lambda: same(shown, cold))


def mount_dies(stage, report):
    shown, source = stage.at("slow", BIG, "weights.bin"), stage.slow.directory / BIG / "weights.bin"
    for after in (0.3, 0.7, 1.2):
        with report.check(f"kill -9 of the mount {after} s into a read: an error for the reader, and umount recovers"):
            reader = subprocess.Popen(["cat", shown], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(after)
            equal("exit status of the reader before", reader.poll(), None)
            stage.mount.kill()
            _, complaint = reader.communicate(timeout=10)
            equal("exit status of the reader", (reader.returncode, bool(complaint)), (1, True))
            recover(stage)
    with report.check("after three kills the file has the right bytes"):
        same_bytes(shown, source)

    mapped = shown.with_name("mapped.bin")
    with report.check("kill -9 under a mapped file: its reader dies, and the next one has the right bytes"):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", MAP, mapped], **pipes) as reader:
            equal("mapped", reader.stdout.readline(), b"mapped\n")
            stage.mount.kill()
            reader.communicate(timeout=10)
            equal("exit status of the reader", reader.returncode, -signal.SIGBUS)
        recover(stage)
        same_bytes(mapped, source.with_name("mapped.bin"))
    with report.check("after the kills every source reads as before"):
        same(stage.samples()["zoo"], stage.sample)
        same(stage.samples()["s3"], stage.sample)
        same(stage.samples()["hub"], stage.hub.directory / SAMPLE)


def recover(stage):
    """From a mount whose process is dead to one that answers."""
    refused(stage.mount.point, errno.ENOTCONN, ask=os.listdir)
    said = call(stage.binary, "mount", "--config", stage.mount.config, stage.mount.point, seconds=20, status=1)
    if "modelfs umount" not in said:
        raise Mismatch("what mount says on a dead mount", said, "the command that recovers it")
    stage.mount.umount()
    equal("dead mount in the mount table", mounted(stage.mount.point), False)
    stage.mount.start()


def leaving(stage, report):
    with report.check("modelfs umount names who holds the mount, and leaves it alone"):
        with (stage.samples()["s3"] / "model.safetensors").open("rb"):
            said = stage.mount.umount(status=1)
        if str(os.getpid()) not in said:
            raise Mismatch("what umount says", said, f"process {os.getpid()}")
        same_bytes(stage.samples()["s3"] / "config.json", stage.sample / "config.json")
    with report.check("modelfs umount ends the mount and its process, cleanly"):
        stage.mount.umount()
        stage.mount.ended()
    with report.check("a mount ends cleanly by SIGINT, and after a new start all is as before"):
        stage.mount.start()
        same(stage.samples()["s3"], stage.sample)
        stage.mount.stop()
