"""The precision of training and evaluation: bf16 where the device computes in it, float32 elsewhere."""

from __future__ import annotations

import torch


def precision(device: torch.device) -> str:
    """Either "bf16" or "float32": a CPU that only emulates bf16 is several times faster in float32."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = bool(getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"))
    return "bf16" if fast else "float32"


def autocast(device: torch.device) -> torch.autocast:
    """The context in which a network runs."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision(device) == "bf16")
