"""The kernels on large batches, where a program computes several tiles and offsets exceed 32 bits.

``test_large.py`` runs this file in a new process: on a GPU, and with small batches in Triton's interpreter, which
pretends to have two processors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from benchmarks.gpu._calls import Place, Setting, calls, training
from benchmarks.gpu._smoke import compare
from torch import Tensor

from resizenet import Resizer
from resizenet.kernels import launch_crop_resize

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")


@pytest.fixture(autouse=True)
def _exact_float32(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Convolutions in float32 do not take TF32; memory is given back, because processes share the GPU."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    yield
    if not INTERPRETED:
        torch.cuda.empty_cache()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_training_is_as_good_as_plain_torch_if_a_program_computes_several_tiles(dtype: torch.dtype) -> None:
    setting = Setting(2, (9, 17), dtype) if INTERPRETED else Setting(8, (64, 96), dtype)  # 18 or 1,536 tiles
    found = {call.name: compare(call, dtype) for call in training(setting, DEVICE)}
    assert list(found) == ["moments", "backward"]
    assert not any("error" in row for row in found.values()), found


def test_every_kernel_is_as_good_as_plain_torch_on_a_large_batch() -> None:
    setting = Setting(3, (5, 9), torch.bfloat16) if INTERPRETED else Setting(128, (224, 224), torch.bfloat16)
    place = Place(DEVICE, launches=True, small=INTERPRETED)
    found = {call.name: compare(call, setting.dtype, torch.float32) for call in calls(setting, place)}
    assert len(found) == 9
    assert not any("error" in row for row in found.values()), found


def large_batch(dtype: torch.dtype) -> tuple[Tensor, tuple[int, int]]:
    """(4096, 3, 448, 448), beyond 2**31 elements, and half its size. Only the last image is not zero."""
    batch, height, width = (3, 10, 18) if INTERPRETED else (4096, 448, 448)
    x = torch.zeros(batch, 3, height, width, dtype=dtype, device=DEVICE)
    x[-1] = (255 * torch.rand(3, height, width, device=DEVICE)).to(dtype)
    return x, (height // 2, width // 2)


@torch.no_grad()
def test_the_last_image_of_a_very_large_batch_is_resized_as_if_alone() -> None:
    x, size = large_batch(torch.bfloat16)
    resizer = Resizer(size).eval().to(DEVICE, torch.bfloat16).fuse(kernels="always").half_resizer
    alone = resizer(x[-1:])
    assert alone.isfinite().all()
    assert alone.any()
    assert torch.equal(resizer(x)[-1:], alone)


def test_the_last_image_of_a_very_large_batch_is_cropped_as_if_alone() -> None:
    x, size = large_batch(torch.uint8)
    boxes = torch.tensor([1, 2, size[0], size[1]], device=DEVICE).repeat(len(x), 1)
    options = {"flip": None, "scale": torch.ones(3, device=DEVICE), "shift": torch.zeros(3, device=DEVICE)}
    options |= {"antialias": True, "dtype": torch.uint8}
    alone = launch_crop_resize(x[-1:], boxes[-1:], size, **options)
    assert alone.any()
    assert torch.equal(launch_crop_resize(x, boxes, size, **options)[-1:], alone)
