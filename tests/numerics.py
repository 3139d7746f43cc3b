"""Runs the tests of a kernel in a process of their own, because TRITON_INTERPRET must be set before triton is imported."""

import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def passed(file: str, marks: str, *, interpret: bool) -> int:
    """How many tests of ``file`` passed, all of those that have the marks."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks, str(TESTS / file)]
    environment = {**os.environ, "TRITON_INTERPRET": "1" if interpret else "0"}
    done = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.splitlines()[-1]
    assert not re.search("skipped|xfailed|xpassed|error", summary), summary
    return int(re.search(r"(\d+) passed", summary)[1])
