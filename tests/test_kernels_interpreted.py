"""Runs ``kernels_numerics.py`` in a process of its own: under Triton's interpreter, and on a GPU where there is one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="the kernels are optional, and so is triton")
TESTS = Path(__file__).parent


def passed(marks: str, *, interpret: bool) -> int:
    """How many tests passed, all of those that the file has."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks, str(TESTS / "kernels_numerics.py")]
    environment = {**os.environ, "TRITON_INTERPRET": "1" if interpret else "0"}
    done = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.splitlines()[-1]
    assert not re.search("skipped|xfailed|xpassed|error", summary), summary
    return int(re.search(r"(\d+) passed", summary)[1])


def test_the_kernels_compute_what_the_oracle_does() -> None:
    assert passed("not slow", interpret=True) >= 20


@pytest.mark.slow
def test_the_kernels_compute_what_the_oracle_does_at_every_size() -> None:
    assert passed("slow", interpret=True) >= 80


@pytest.mark.cuda
def test_the_compiled_kernels_compute_what_the_oracle_does() -> None:
    assert passed("slow or not slow", interpret=False) >= 60
