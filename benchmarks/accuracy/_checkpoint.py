"""Files that a killed process leaves whole: written beside, then renamed."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(__file__).parents[1] / "checkpoints" / "accuracy"


def write_bytes(file: Path, content: bytes) -> None:
    """Replace ``file`` at once, so that it is never half written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_json(file: Path, record: dict[str, Any]) -> None:
    """A record as JSON, indented."""
    write_bytes(file, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())


def save(file: Path, state: dict[str, Any]) -> None:
    """Tensors and plain values."""
    stream = io.BytesIO()
    torch.save(state, stream)
    write_bytes(file, stream.getvalue())


def load(file: Path) -> dict[str, Any]:
    """What ``save`` wrote, on the CPU.

    Raises:
        SystemExit: with one line if it cannot be read.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # on a broken file torch's unpickler raises whatever it stumbles on
        raise SystemExit(f"{file}: not a checkpoint ({type(error).__name__}); delete it and run again") from None
