"""The JSON files of both harnesses: how they are written and read, and what they say about the machine and the code."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import torch

import resizenet as rn

RESULTS = Path(__file__).parent / "results"
SCHEMA = 3
_PACKAGES = ("accelerate", "kornia", "pillow", "timm", "torchvision", "triton")
_ENVIRONMENT = ("command", "commit", "date", "device", "versions")

Record = dict[str, Any]


def environment(device: torch.device) -> Record:
    """Return the fields that every record has besides its command and its measurements."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    versions = _versions(device)
    return {"schema": SCHEMA, "device": device_name(device), "versions": versions, "commit": commit(), "date": date}


def commit() -> str:
    """Return the commit of this code: from BENCHMARKS_COMMIT if that is set, else from git, else "unknown"."""
    folder = str(Path(__file__).parent)
    return os.environ.get("BENCHMARKS_COMMIT") or _first_line("git", "-C", folder, "rev-parse", "--short", "HEAD")


def device_name(device: torch.device) -> str:
    """Return the GPU's name, or the CPU's name with the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    threads = torch.get_num_threads()
    return f"{names[0] if names else platform.machine()}, {threads} thread{'s' if threads > 1 else ''}"


def _versions(device: torch.device) -> dict[str, str]:
    installed = {found.metadata["Name"].lower(): found.version for found in importlib.metadata.distributions()}
    versions = {"python": platform.python_version(), "torch": torch.__version__, "resizenet": rn.__version__}
    versions |= {name: installed[name] for name in _PACKAGES if name in installed}
    if device.type == "cuda":
        versions["driver"] = _first_line("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return versions


def _first_line(*command: str) -> str:
    """Return the first line that a program prints, or "unknown" if the program is missing or prints nothing."""
    if shutil.which(command[0]) is None:
        return "unknown"
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return lines[0].strip() if lines else "unknown"


def write(file: Path, record: Record) -> None:
    """Write a record in one step, so that a killed process leaves no half of a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    partial.replace(file)


def read(file: Path, *fields: str) -> Record:
    """Read a record that has the common fields and those named ``fields``.

    Raises:
        SystemExit: with one line, if the file is not such a record.
    """
    try:
        record = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{file}: not a result ({type(error).__name__}: {error})") from None
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema != SCHEMA:
        raise SystemExit(f"{file}: schema {schema!r} where {SCHEMA} is expected; run it again")
    missing = [field for field in (*_ENVIRONMENT, *fields) if field not in record]
    if missing:
        raise SystemExit(f"{file}: a result without {', '.join(missing)}; run it again")
    return record
