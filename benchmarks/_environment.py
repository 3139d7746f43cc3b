"""What programs outside of Python say about this machine and this code."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def output_of(*command: str) -> str:
    """The first line; "unknown" where there is no such program, or no answer."""
    if shutil.which(command[0]) is None:
        return "unknown"
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return answer[0].strip() if answer else "unknown"


def commit() -> str:
    """Of this code; "unknown" on a machine without git, or outside a repository."""
    return output_of("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD")
