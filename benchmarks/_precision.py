"""Whether a device computes in bf16, and the precision of training where nobody chose it."""

from __future__ import annotations

import torch


def computes_in_bf16(device: torch.device) -> bool:
    """A CPU without the instructions emulates bf16, several times slower than float32; where torch cannot tell, it is taken to emulate."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"))


def default_precision(device: torch.device) -> str:
    """Either "bf16" or, where that is emulated, "float32"."""
    return "bf16" if computes_in_bf16(device) else "float32"
