"""The mount under test."""

import os
import signal
import subprocess

from report import Mismatch, call, equal, eventually


class Mount:
    """One `modelfs mount` in the foreground. It can be killed and started again
    over the same cache."""

    def __init__(self, binary, config, point, log):
        self.binary, self.config, self.point, self.log = binary, config, point, log
        point.mkdir()
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "mount", "--config", self.config, self.point],
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
        )
        eventually(20, self.answers)

    def answers(self):
        if self.process.poll() is not None:
            raise Mismatch("modelfs mount", f"exit status {self.process.returncode}: {self.last_words()}", "a mount")
        equal(f"{self.point} in the mount table", mounted(self.point), True)

    def stop(self):
        """Ask for an end, and hold the process to a clean one."""
        self.process.send_signal(signal.SIGINT)
        self.ended()

    def ended(self):
        equal("modelfs mount, exit status", self.process.wait(20), 0)
        equal(f"{self.point} in the mount table", mounted(self.point), False)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def close(self):
        """End it whatever state it is in."""
        self.kill()
        if mounted(self.point):
            self.umount("--lazy")

    def umount(self, *flags, status=0):
        return call(self.binary, "umount", *flags, self.point, seconds=20, status=status)

    def last_words(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def mounted(point):
    """Ask the kernel's table, and not the mount, which may be dead."""
    with open("/proc/self/mountinfo") as table:
        return any(line.split()[4] == str(point) for line in table)


def tell(path, attribute):
    """One of the extended attributes that say what the mount knows of path."""
    return os.getxattr(path, f"user.modelfs.{attribute}").decode()
