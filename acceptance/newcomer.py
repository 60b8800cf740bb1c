"""`make run` on a copy of the tree, as a newcomer at a terminal would have it."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time

from mount import mounted
from report import Mismatch, call, equal

READY = "Ctrl-C here unmounts."


def run(stage, report):
    tree = stage.work / "newcomer"
    tree.mkdir()
    listed = call("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=stage.tree)
    names = [n for n in listed.split("\0") if n and os.path.lexists(stage.tree / n)]
    subprocess.run(
        ["cp", "--parents", "--no-dereference", "--target-directory", tree, "--", *names], cwd=stage.tree, check=True
    )
    terminal = None
    with report.check("make run: builds, mounts ./models, and says what to try", seconds=150):
        # The last command of the three asks the Hub.
        terminal = Terminal(["make", "run"], tree, {**os.environ, "HF_ENDPOINT": stage.hub.endpoint})
        said = terminal.until(READY, 140)
        commands = re.findall(r"^  (\S.*?)\s*$", said, re.M)
        equal("number of commands", len(commands), 3)
    if terminal is None:
        return
    with contextlib.closing(terminal):
        with report.check("make run: each of the three commands works as it is printed"):
            for command in commands:
                if not call("bash", "-c", command, cwd=tree, seconds=20).strip():
                    raise Mismatch(command, "no output", "some")
        with report.check("make run: Ctrl-C unmounts, and nothing stays"):
            terminal.press(b"\x03")
            terminal.ended(20)
            equal("./models in the mount table", mounted(tree / "models"), False)
            equal("processes in the tree", processes(tree), [])


def processes(tree):
    """Those whose program or directory is in the tree."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for link in ("exe", "cwd"):
            with contextlib.suppress(OSError):  # it has ended, or is of another user
                if os.readlink(f"/proc/{pid}/{link}").startswith(f"{tree}/"):
                    found.append(pid)
    return found


class Terminal:
    """A program that runs at a terminal of its own."""

    def __init__(self, argv, directory, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(directory)
                os.execvpe(argv[0], argv, environment)
            finally:
                os._exit(127)
        self.said = ""

    def until(self, word, seconds):
        """What it says up to word, without the terminal's carriage returns."""
        end = time.monotonic() + seconds
        while word not in self.said:
            if time.monotonic() > end or not self.read(end):
                raise Mismatch("make run", self.said[-600:], word)
        return self.said

    def read(self, end):
        """Take what it says next; False when it has ended or the time is over."""
        ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
        try:
            new = os.read(self.fd, 1 << 16) if ready else b""
        except OSError:  # EIO: the other side has closed
            new = b""
        self.said += new.decode(errors="replace").replace("\r", "")
        return bool(new)

    def press(self, key):
        os.write(self.fd, key)

    def ended(self, seconds):
        end = time.monotonic() + seconds
        while self.read(end):
            pass
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                raise Mismatch("make run", f"still running: {self.said[-600:]}", "an end")
            time.sleep(0.05)
        self.pid = 0

    def close(self):
        os.close(self.fd)  # what is left of it gets SIGHUP
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
