"""One line for each check, and the count at the end."""

import contextlib
import errno
import signal
import subprocess
import time
from pathlib import Path


class Mismatch(Exception):
    """What was found, and what should have been."""

    def __init__(self, of, got, want):
        super().__init__(f"{of}: got {brief(got, 800)}, want {brief(want)}")


def brief(value, length=600):
    """A value for a line of the report: the middle of a long one is left out."""
    text = value if isinstance(value, str) else repr(value)
    half = length // 2
    return text if len(text) <= length else f"{text[:half]} … {text[-half:]}"


def equal(of, got, want):
    if got != want:
        raise Mismatch(of, got, want)


def at_most(of, got, want):
    if got > want:
        raise Mismatch(of, f"{got:.4g}", f"at most {want}")


def refused(path, want, ask=Path.read_bytes):
    """Asking for path fails with this error number."""
    try:
        ask(path)
        got = "none"
    except OSError as e:
        got = errno.errorcode[e.errno]
    equal(f"error of {path.name}", got, errno.errorcode[want])


def call(*argv, seconds=60, status=0, **options):
    """Run a program, hold it to its exit status, and return what it printed."""
    done = subprocess.run(
        [str(a) for a in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds,
        **options,
    )
    if done.returncode != status:
        command = " ".join(map(str, argv[:2]))
        raise Mismatch(f"{command} … exit status", f"{done.returncode} ({brief(done.stdout.strip())})", status)
    return done.stdout


def eventually(seconds, what):
    """Call what until it does not raise, or until the time is over."""
    end = time.monotonic() + seconds
    while True:
        try:
            return what()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


class Report:
    """Counts the checks and prints them as they end."""

    def __init__(self):
        self.passed = self.failed = 0
        self.start = time.monotonic()

    @contextlib.contextmanager
    def check(self, what, seconds=60):
        """A check is a block: it fails if the block raises or takes too long."""

        def late(*_):
            raise TimeoutError(f"got no end after {seconds} s, want one")

        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        except Exception as e:
            self.fail(what, e)
        else:
            self.passed += 1
            print(f"ok - {what}", flush=True)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def fail(self, what, error):
        self.failed += 1
        reason = str(error) if isinstance(error, Mismatch) else f"{type(error).__name__}: {error}"
        print(f"FAIL - {what}: {' '.join(reason.split())}", flush=True)

    def close(self):
        """Print the summary, and return the exit status."""
        took = time.monotonic() - self.start
        print(f"after {took:.0f} s")
        print(f"acceptance: {self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
