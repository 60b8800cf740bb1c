"""fio writes files, and then reads them over the mount and verifies every block."""

import itertools
import re

import models
from mount import tell
from report import Mismatch, call, equal, eventually
from servers import Gateway

JOBS, SIZE, BLOCK = 4, 64 << 20, 256 << 10

# How fio writes a file, and how it then reads it: in the same order, as its
# checks of a block's number depend on it.
PATTERNS = {"sequential": ("write", "read"), "random": ("randwrite", "randread")}
ENGINES = ("psync", "mmap")


def run(stage, report):
    written = stage.work / "zoo" / "acceptance" / "fio"
    written.mkdir(parents=True)
    for pattern, (write, _) in PATTERNS.items():
        fio(written / pattern, write, "psync")
    can_fail(stage, report, written / "sequential")

    # An object for each, so that every first read is cold.
    shown = stage.at("s3", Gateway.bucket, "fio")
    for pattern, engine in itertools.product(PATTERNS, ENGINES):
        stage.gateway.client.upload_file(str(written / pattern), Gateway.bucket, f"fio/{pattern}-{engine}")
    for pattern, engine in itertools.product(PATTERNS, ENGINES):
        rw, remote = PATTERNS[pattern][1], shown / f"{pattern}-{engine}"
        with report.check(f"s3: fio verifies {pattern} {engine} reads of {JOBS} jobs, cold"):
            equal("cached bytes before", tell(remote, "cached"), "0")
            verify(remote, rw, engine)
        with report.check(f"s3: fio verifies {pattern} {engine} reads of {JOBS} jobs, once sealed"):
            eventually(5, lambda remote=remote: equal("cached bytes before", tell(remote, "cached"), str(SIZE)))
            verify(remote, rw, engine)
        with report.check(f"zoo: fio verifies {pattern} {engine} reads of {JOBS} jobs"):
            verify(stage.at("zoo", "acceptance", "fio", pattern), rw, engine)


def can_fail(stage, report, written):
    """A check that cannot fail is none: fio finds one wrong bit."""
    with report.check("fio finds a wrong bit in a plain file, so that its verdicts mean something"):
        wrong = stage.work / "wrong-bit"
        content = bytearray(written.read_bytes())
        content[models.MIB + 4242] ^= 1
        wrong.write_bytes(content)
        try:
            verify(wrong, "read", "psync")
        except Mismatch:
            return
        raise Mismatch("fio on a wrong bit", "no complaint", "one")


def verify(path, rw, engine):
    read = fio(path, rw, engine, f"--numjobs={JOBS}", "--readonly", "--allow_file_create=0")
    equal("bytes read", read, JOBS * SIZE)


def fio(path, rw, engine, *flags):
    """Run fio, and return how many bytes it has read.

    Each job goes over the whole file: fio 3.33 gets the place of a job's part of a
    mapped file wrong.
    """
    out = call(
        "fio", "--name=blocks", f"--filename={path}", f"--rw={rw}", f"--ioengine={engine}", f"--bs={BLOCK}",
        f"--size={SIZE}", "--group_reporting", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0",
        "--do_verify=0", "--output-format=terse", "--terse-version=3", *flags,
    )
    # The sixth field of the line is what was read, in KiB.
    return int(re.search(r"^3;.*$", out, re.M)[0].split(";")[5]) << 10
