"""Eight threads on one model get the same results as one; a thousand calls of new sizes leave no memory behind."""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import resizenet as rn
from resizenet import functional, models, transforms

SMALL = {"channels": 4, "zero_init": False}
RESIZERS: dict[str, Callable[[], nn.Module]] = {
    "Resizer": lambda: rn.Resizer(9, **SMALL),
    "fused Resizer": lambda: rn.Resizer(9, **SMALL).fuse(),
    "Resizer with checkpoint": lambda: rn.Resizer(9, **SMALL, checkpoint=True).train(),
    "LinearResizer": lambda: rn.LinearResizer(9),
    "fused LinearResizer": lambda: rn.LinearResizer(9).fuse(),
    "LaplacianResizer": lambda: rn.LaplacianResizer(9),
    "FixedResizer": lambda: rn.FixedResizer(9),
}
QUICK = ("Resizer", "fused Resizer")
IMAGE = torch.rand(2, 3, 40, 36)
SIZES = list(itertools.islice(itertools.product(range(5, 41), range(6, 38)), 1050))


def plain(value: Any) -> Any:
    """Something that compares by value."""
    return value.tolist() if isinstance(value, Tensor) else value


@torch.no_grad()
def test_eight_threads_on_one_model_get_what_one_thread_gets() -> None:
    model = rn.Resizer(16, zero_init=False).wrap(rn.create_model("resnet20")).eval()
    linear = rn.LinearResizer(16)
    nn.init.normal_(linear.conv.weight)
    tasks: list[Callable[[], Any]] = [
        lambda: rn.report(model, 32),
        lambda: rn.report(model, (24, 40)),
        lambda: model(IMAGE),
        lambda: model.resizer(IMAGE, size=(9, 11)),
        lambda: model.resizer.fuse()(IMAGE),
        lambda: linear.fuse()(IMAGE[..., :32, :32]),
        lambda: functional.resize(IMAGE, (7, 13), interpolation="bicubic"),
        lambda: functional.resize((255 * IMAGE).byte(), (50, 3)),
        lambda: rn.adapt(model.model, 32, num_classes=3).get_classifier().out_features,
    ]
    expected = [plain(task()) for task in tasks]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda task: plain(task()), tasks * 8))
    assert found == expected * 8


def alive() -> tuple[int, int]:
    """The number of tensors, and of all blocks of memory that Python's allocator has given out."""
    gc.collect()
    tensors = sum(issubclass(type(item), Tensor) for item in gc.get_objects())
    return tensors, sys.getallocatedblocks()


def check_growth(call: Callable[[tuple[int, int]], object]) -> None:
    """A thousand calls with sizes that have not come before leave no tensor, and no object for each call."""
    for size in SIZES[:50]:
        call(size)
    tensors, blocks = alive()
    for size in SIZES[50:]:
        call(size)
    tensors_after, blocks_after = alive()
    assert tensors_after <= tensors
    assert blocks_after - blocks < 500


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else (pytest.mark.slow,)) for name in RESIZERS]
)
def test_a_thousand_images_of_new_sizes_leave_nothing_behind(name: str) -> None:
    resizer = RESIZERS[name]()
    check_growth(lambda size: resizer(torch.rand(1, 3, *size)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Resizer", "LinearResizer"])
def test_a_thousand_new_sizes_of_results_leave_nothing_behind(name: str) -> None:
    resizer = RESIZERS[name]()
    check_growth(lambda size: resizer(IMAGE[:1], size=size))


def test_a_thousand_batches_of_new_sizes_leave_nothing_behind() -> None:
    crop, model = transforms.BatchRandomResizedCrop(9), models.ResNet(models.BasicBlock, (1, 1), (4, 8)).eval()
    with torch.no_grad():
        check_growth(lambda size: model(crop(torch.rand(2, 3, *size))))


@pytest.mark.slow
def test_reports_of_a_thousand_new_sizes_leave_nothing_behind() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    check_growth(lambda size: rn.report(model, size))
