"""Which calls the kernel of ``crop_resize`` supports, what it computes, and what it compiles to for absent GPUs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from resizenet.kernels import _support, launch_crop_resize, why_unsupported_crops


@dataclass
class Batch:
    """The properties of a batch that are looked at, on a GPU that is not here."""

    shape: tuple[int, ...] = (2, 3, 64, 96)
    dtype: torch.dtype = torch.uint8
    device: torch.device = torch.device("cuda", 0)  # noqa: RUF009, cannot be changed
    requires_grad: bool = False

    def stride(self) -> tuple[int, ...]:
        return torch.empty(self.shape, device="meta").stride()


RULE = {"size": (32, 48), "dtype": torch.float16, "interpolation": "bilinear", "antialias": True}


@pytest.mark.usefixtures("ampere")
@pytest.mark.parametrize(
    ("batch", "change", "reason"),
    [
        (Batch(), {}, None),
        (Batch(dtype=torch.float32), {"dtype": torch.float32, "antialias": False, "size": (3, 5)}, None),
        (Batch((1, 3, 256, 256)), {"size": (32, 32)}, None),
        (Batch(device=torch.device("cpu")), {}, "capability 8.0 or more, got cpu"),
        (Batch(), {"interpolation": "bicubic"}, "expected interpolation='bilinear', got 'bicubic'"),
        (Batch(dtype=torch.float64), {}, "at most 32 bits, got torch.float64 -> torch.float16"),
        (Batch(), {"dtype": torch.float64}, "at most 32 bits, got torch.uint8 -> torch.float64"),
        (Batch(dtype=torch.float16, requires_grad=True), {}, "need no gradient"),
        (
            Batch((1, 3, 256, 256)),
            {"size": (31, 256)},
            r"at least 0.125 of the images' sides, got (256, 256) -> (31, 256)",
        ),
        (Batch((2, 3, 1, 96)), {}, "at least 2 x 4 pixels, got (2, 3, 1, 96)"),
        (Batch((0, 3, 64, 96)), {}, "expected at least one image"),
        (Batch((1, 3, 30000, 30000)), {"size": (8000, 8000)}, "enough for 32-bit offsets"),
        (Batch((1, 1, 4, 46340)), {"size": (2, 23170)}, None),  # 2 * 46340 * 23170 is just below 2**31
        (Batch((1, 1, 4, 46400)), {"size": (2, 23300)}, "32-bit positions, got (4, 46400) -> (2, 23300)"),
    ],
)
def test_which_calls_the_kernel_supports(batch: Any, change: dict[str, Any], reason: str | None) -> None:
    found = why_unsupported_crops(batch, **{**RULE, **change})
    assert found is None if reason is None else reason in found


def test_without_triton_no_call_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_support, "AVAILABLE", False)
    assert why_unsupported_crops(Batch(), **RULE) == "triton is not installed"  # type: ignore[arg-type]


def test_the_kernel_computes_what_the_oracle_does(passed: Callable[..., int]) -> None:
    pytest.importorskip("triton", reason="the kernel is optional, and so is triton")
    assert passed("crop_resize_numerics.py", "not slow", interpret=True) >= 25


@pytest.mark.slow
def test_the_kernel_computes_what_the_oracle_does_at_every_pair_of_lengths(passed: Callable[..., int]) -> None:
    pytest.importorskip("triton", reason="the kernel is optional, and so is triton")
    assert passed("crop_resize_numerics.py", "slow", interpret=True) == 2


@pytest.mark.cuda
def test_the_compiled_kernel_computes_what_the_oracle_does(passed: Callable[..., int]) -> None:
    assert passed("crop_resize_numerics.py", "slow or not slow", interpret=False) >= 27


def call(source: torch.dtype, dtype: torch.dtype, before: int, layout: torch.memory_format, antialias: bool) -> None:
    x = torch.zeros(2, 3, before, before, dtype=source).contiguous(memory_format=layout)
    ones, boxes = torch.ones(3), torch.zeros(2, 4, dtype=torch.int64)
    flip = torch.zeros(2, dtype=torch.bool)
    launch_crop_resize(x, boxes, (224, 224), flip=flip, scale=ones, shift=ones, antialias=antialias, dtype=dtype)


REGISTERS = 65536 // 32 // 32  # of a thread, where an SM holds 32 programs of one warp, as many as it may


@pytest.mark.parametrize("capability", [80, 90, 100])
def test_the_kernel_fits_the_chip(compiled: Any, capability: int) -> None:
    found = compiled(lambda: call(torch.uint8, torch.bfloat16, 256, torch.contiguous_format, True), capability)
    (kernel,) = found["_crop_resize_kernel"]
    assert kernel.stack == 0
    assert kernel.registers <= 2 * REGISTERS
    assert kernel.shared == 0
    assert "LDG.E.U8" in kernel.code  # a byte for each tap, and stores of 16
    assert "STG.E.128" in kernel.code


SPILLED = 64  # bytes of a thread; some variants that shrink to less than a quarter do not quite fit


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90, 100])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
def test_every_variant_fits_the_chip(compiled: Any, capability: int, layout: torch.memory_format) -> None:
    for source, dtype in [
        (torch.uint8, torch.uint8),
        (torch.uint8, torch.float32),
        (torch.float32, torch.float16),
        (torch.bfloat16, torch.bfloat16),
    ]:
        for before, antialias in [(200, True), (256, True), (512, True), (1024, True), (1792, True), (512, False)]:
            found = compiled(lambda: call(source, dtype, before, layout, antialias), capability)  # noqa: B023
            (kernel,) = found["_crop_resize_kernel"]
            assert kernel.stack <= SPILLED
            assert kernel.shared == 0
