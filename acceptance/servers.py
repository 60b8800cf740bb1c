"""The servers that the sources speak to: versitygw, and the test Hub."""

import contextlib
import json
import os
import socket
import subprocess
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

from report import equal, eventually
from trees import files

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url, post=False):
    with DIRECT.open(urllib.request.Request(url, method="POST" if post else "GET"), timeout=20) as answer:
        return answer.read().decode()


def free_port():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as s:
        return s.getsockname()[1]


class Gateway:
    """versitygw over a directory, with versions. It can be killed, and started
    again at the same address."""

    region, key, secret, bucket = "us-east-1", "acceptance", "acceptance-secret", "models"

    def __init__(self, binary, root):
        self.binary, self.root = binary, root
        # It refuses folders whose path begins with the root's as a string.
        for d in ("objects", "versions", "sidecar"):
            (root / d).mkdir(parents=True)
        self.address = f"127.0.0.1:{free_port()}"
        self.endpoint = f"http://{self.address}"
        self.start()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )
        self.client.create_bucket(Bucket=self.bucket)
        self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def start(self):
        backend = ["posix", "--versioning-dir", self.root / "versions"]
        if not keeps_xattrs(self.root):
            backend += ["--sidecar", self.root / "sidecar"]
        self.process = subprocess.Popen(
            [self.binary, "--port", self.address, "--region", self.region, "--health", "/.health", "--quiet",
             "--keep-alive", "--access-log", self.root / "requests", *backend, self.root / "objects"],
            env={**os.environ, "ROOT_ACCESS_KEY": self.key, "ROOT_SECRET_KEY": self.secret},
            stdin=subprocess.DEVNULL,
            stdout=(self.root / "log").open("ab"),
            stderr=subprocess.STDOUT,
        )
        eventually(20, lambda: ask(f"{self.endpoint}/.health"))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def put(self, directory, prefix):
        for name, path in files(directory).items():
            self.client.upload_file(str(path), self.bucket, f"{prefix}/{name}")

    def requests(self, bucket):
        """The requests for a bucket so far, as the server's own log has them."""
        lines = (self.root / "requests").read_text().splitlines()
        return [line for line in lines if f"/{bucket}" in line]

    def keys(self):
        """Files that hold the credentials, for the configuration."""
        for name, value in (("id", self.key), ("secret", self.secret)):
            with open(os.open(self.root / name, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
                f.write(value)
        return self.root / "id", self.root / "secret"


def keeps_xattrs(directory):
    try:
        os.setxattr(directory, "user.modelfs.test", b"1")
        os.removexattr(directory, "user.modelfs.test")
    except OSError:
        return False
    return True


class Hub:
    """The strict Hub of testdata/hub over a directory of <org>/<repo>."""

    def __init__(self, binary, directory, *flags):
        self.directory = Path(directory)
        self.process = subprocess.Popen(
            [binary, "-dir", directory, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self.endpoint = self.process.stdout.readline().strip()
        if not self.endpoint.startswith("http://"):
            raise RuntimeError(f"hubserver: got {self.endpoint!r}, want its address")

    def push(self, repo):
        """Make a commit of what the directory holds now, and return its id."""
        return json.loads(ask(f"{self.endpoint}/-/push?repo={repo}", post=True))["sha"]

    def violations(self):
        """Requests that gave a secret to the content network."""
        return ask(f"{self.endpoint}/-/violations")

    def kill(self):
        self.process.kill()
        self.process.wait()


def head(hub, repo):
    """The commit that main means, as the Hub's API tells it."""
    sha = json.loads(ask(f"{hub.endpoint}/api/models/{repo}"))["sha"]
    equal("length of a commit's id", len(sha), 40)
    return sha
