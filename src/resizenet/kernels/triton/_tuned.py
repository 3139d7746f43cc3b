"""The fastest launch of each kernel by compute capability; written by `python -m benchmarks.gpu tune`."""

from __future__ import annotations

from typing import Any

MEASURED_ON: dict[tuple[int, int], str] = {}
TUNED: dict[tuple[int, int], dict[str, dict[str, Any]]] = {}
