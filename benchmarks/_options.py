"""What the command lines of both harnesses share."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch


def find_device(name: str) -> torch.device:
    """Return the CPU or the CUDA device; SystemExit if torch finds no such device."""
    if name == "cpu" or (name == "cuda" and torch.cuda.is_available()):
        return torch.device(name)
    raise SystemExit(f"{name}: torch finds no such device here; take --device cpu")


def default_device() -> str:
    """Return the name of the fastest device."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def computes_in_bf16(device: torch.device) -> bool:
    """Return whether the device has bf16 instructions; a CPU without them is several times slower than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"))


def select(names: Iterable[str], pattern: str | None) -> list[str]:
    """Return the names that match the regular expression of --only; SystemExit if there are none."""
    names = list(names)
    try:
        selected = [name for name in names if re.search(pattern or "", name)]
    except re.error as error:
        raise SystemExit(f"--only {pattern}: not a regular expression ({error})") from None
    if not selected:
        raise SystemExit(f"--only {pattern}: matches none of {'; '.join(names)}")
    return selected
