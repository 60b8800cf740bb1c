"""What is asked of a bucket, and objects that change under their readers in it."""

import errno
import time

from report import at_most, equal, refused
from servers import Gateway
from stage import TTL

PREFIX, NAME, MIB = "acceptance/moving", "weights.bin", 1 << 20


def run(stage, report):
    asks_little(stage, report)
    changes(stage, report)


def asks_little(stage, report):
    """A bucket is a model, and may hold all models of a company."""
    many = "many"
    stage.gateway.client.create_bucket(Bucket=many)
    for i in range(60):
        stage.gateway.client.put_object(Bucket=many, Key=f"model-{i}/config.json", Body=b"{}")
    before = len(stage.gateway.requests(many))
    with report.check("s3: reading one file asks for that file, and does not list the whole bucket"):
        equal("content", stage.at("s3", many, "model-7", "config.json").read_bytes(), b"{}")
        time.sleep(2)  # for what goes on behind the reader's back
        at_most("requests", len(stage.gateway.requests(many)) - before, 12)


def changes(stage, report):
    first, second = b"1" * 24 * MIB, b"2" * 24 * MIB
    key = {"Bucket": Gateway.bucket, "Key": f"{PREFIX}/{NAME}"}
    shown = stage.at("s3", Gateway.bucket, PREFIX, NAME)

    stage.gateway.client.put_object(**key, Body=first)
    with report.check("s3: an object that is replaced while it is read: the reader gets the old version to its end"):
        with shown.open("rb", buffering=0) as reader:
            begin = reader.read(MIB)
            stage.gateway.client.put_object(**key, Body=second)
            same(begin + read_rest(reader), first)
    time.sleep(1.5 * TTL)
    with report.check("s3: the next open reads the new version"):
        same(shown.read_bytes(), second)

    stage.gateway.client.put_object(**key, Body=first)
    time.sleep(1.5 * TTL)
    with report.check("s3: an object that is deleted while it is read: the reader gets it to its end"):
        with shown.open("rb", buffering=0) as reader:
            begin = reader.read(MIB)
            stage.gateway.client.delete_object(**key)
            same(begin + read_rest(reader), first)
    time.sleep(1.5 * TTL)
    with report.check("s3: the next open finds nothing"):
        refused(shown, errno.ENOENT)


def read_rest(reader):
    pieces = []
    while piece := reader.read(MIB):
        pieces.append(piece)
    return b"".join(pieces)


def same(got, want):
    equal("size", len(got), len(want))
    equal("bytes", sorted(set(got)), sorted(set(want)))
