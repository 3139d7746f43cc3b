"""``resizenet.report`` against torch's FLOP counter, which counts the same multiply-accumulates and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import resizenet as rn

from ._paired import Bench, Candidate, Jobs, Row, Setting

MODELS = ("resnet18", "resnet50", "convnext_tiny", "vit_b_16")


@contextmanager
def _plain_attention() -> Iterator[None]:
    """In evaluation torch's encoders take a fused operation that the counter does not know: it would find a third less for vit_b_16."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def counted(model: nn.Module, image: Tensor) -> Tensor:
    """MACs of a forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad(), _plain_attention():
        model(image)
    return torch.tensor(counter.get_total_flops() // 2)


def reporting(bench: Bench, name: str, size: int) -> list[Row]:
    """Rows of the counter on a forward pass and on one of meta tensors, which have no values, and of ours."""
    model = torchvision.models.get_model(name, weights=None).to(bench.device).eval()
    image = torch.rand(1, 3, size, size, device=bench.device)
    on_meta = copy.deepcopy(model).to("meta")
    calls: dict[str, Callable[[], Tensor]] = {
        "FlopCounterMode, a forward pass": lambda: counted(model, image),
        "FlopCounterMode, on meta tensors": lambda: counted(on_meta, image.to("meta")),
        "resizenet.report": lambda: torch.tensor(rn.report(model, size).macs),
    }
    first, *_ = calls
    candidates = [
        Candidate(who, call, peer="resizenet" not in who, baseline=who == first) for who, call in calls.items()
    ]
    return bench.rows(_setting(name, size), candidates, tolerance=0)


def _setting(name: str, size: int) -> Setting:
    return Setting("report", f"{name} at {size} px", "float32", 1)


def jobs(bench: Bench, quick: bool) -> Jobs:
    """Four networks at 224 px; the quick suite is the whole one with fewer rounds."""
    return {_setting(name, 224).title: partial(reporting, bench, name, 224) for name in MODELS}
