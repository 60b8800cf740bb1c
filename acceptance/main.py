"""Run every part of the acceptance run over one mount.

    main.py --modelfs FILE --hubserver FILE --versitygw FILE --work DIR [PART...]
"""

import argparse
import os
import sys
from pathlib import Path

# Nothing of the user's reaches the clients: neither a token, nor a cache, nor a
# proxy before the servers, which are all on the loopback address.
for name in list(os.environ):
    if name.startswith(("HF_", "AWS_", "MODELFS_", "MLFLOW_")) or name.lower().endswith("_proxy"):
        del os.environ[name]
os.environ.update(
    AWS_EC2_METADATA_DISABLED="true",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_HUB_DISABLE_XET="1",
    LC_ALL="C.UTF-8",
)

import blocks
import faults
import hub
import newcomer
import readers
import stage
import tools
import versions
from report import Report

# In this order: the readers come before the tools, so that what they map is cold.
PARTS = {
    "hub": hub,
    "readers": readers,
    "tools": tools,
    "blocks": blocks,
    "versions": versions,
    "faults": faults,
    "newcomer": newcomer,
}


def main():
    arguments = argparse.ArgumentParser()
    for name in ("modelfs", "hubserver", "versitygw", "work"):
        arguments.add_argument(f"--{name}", type=lambda p: Path(p).absolute(), required=True)
    arguments.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all parts unless named")
    a = arguments.parse_args()
    os.environ["HF_HOME"] = str(a.work / "hf-home")

    report = Report()
    with stage.build(a.modelfs, a.hubserver, a.versitygw, a.work) as built:
        for name in a.parts or PARTS:
            try:
                PARTS[name].run(built, report)
            except Exception as e:
                report.fail(f"{name}: the part ended before its last check", e)
        if report.failed:
            print("last lines of the log of the mount:", built.mount.last_words(), sep="\n", file=sys.stderr)
    return report.close()


sys.exit(main())
