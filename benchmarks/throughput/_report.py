"""``resizenet.report`` against torch's FLOP counter, which counts the same multiply-accumulates and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import resizenet as rn

from ._compare import Candidate, Comparison, Jobs, Setting

_MODELS = ("resnet18", "resnet50", "convnext_tiny", "vit_b_16")


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Turn off torch's fused attention, which the counter does not know: it would count a third less for vit_b_16."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def counted(model: nn.Module, image: Tensor) -> Tensor:
    """Return the multiply-accumulates of a forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad(), _plain_attention():
        model(image)
    return torch.tensor(counter.get_total_flops() // 2)


def reporting(device: torch.device, name: str, size: int) -> Comparison:
    """Compare the counter on a forward pass, the counter on meta tensors, which have no values, and ours."""
    model = torchvision.models.get_model(name, weights=None).to(device).eval()
    image = torch.rand(1, 3, size, size, device=device)
    on_meta = copy.deepcopy(model).to("meta")
    candidates = [
        Candidate("FlopCounterMode, a forward pass", lambda: counted(model, image), peer=True, baseline=True),
        Candidate("FlopCounterMode, on meta tensors", lambda: counted(on_meta, image.to("meta")), peer=True),
        Candidate("resizenet.report", lambda: torch.tensor(rn.report(model, size).macs)),
    ]
    return Comparison(candidates, tolerance=0)


def jobs(device: torch.device, *, quick: bool) -> Jobs:
    """Four networks at 224 px; the quick suite differs in its rounds only."""
    settings = {name: Setting("report", f"{name} at 224 px", "float32", 1) for name in _MODELS}
    return {setting: partial(reporting, device, name, 224) for name, setting in settings.items()}
