"""The kernel of ``crop_resize`` against the float64 reference.

``test_crop_resize_kernel.py`` runs this file in a process of its own, under Triton's interpreter or on a GPU, because
the variable that turns the interpreter on must be set before triton is imported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor

import reference
from resizenet import kernels
from resizenet.functional import crop_resize
from resizenet.functional._crop_plan import CropPlan, make_affine
from resizenet.functional._crop_resize import _resize_by_kernel
from resizenet.kernels import _support

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
SCALE, SHIFT = (0.5, 2.0, 1.0, 0.25), (0.25, -1.0, 0.0, 3.0)
ATOL = 1e-6  # a dozen float32 roundings of numbers near 1


@pytest.fixture(autouse=True)
def _any_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter computes on the CPU, which is not supported otherwise."""
    if INTERPRETED:
        monkeypatch.setattr(_support, "why_unsupported_device", lambda device: None)


@dataclass(frozen=True)
class Case:
    before: tuple[int, int]
    after: tuple[int, int]
    antialias: bool = True
    channels: int = 3
    layout: torch.memory_format = torch.contiguous_format
    flip: bool = True

    def images(self, dtype: torch.dtype) -> Tensor:
        """In 0..1, or uint8."""
        x = torch.rand(5, self.channels, *self.before, dtype=torch.float64)
        return (x * 255 if dtype == torch.uint8 else x).to(dtype).contiguous(memory_format=self.layout)

    def boxes(self) -> Tensor:
        """The whole image, one pixel in a corner, a column, a row, and a box in the middle."""
        height, width = self.before
        middle = (height // 3, width // 4, max(1, height // 2), max(1, width // 3))
        return torch.tensor(
            [
                (0, 0, height, width),
                (height - 1, width - 1, 1, 1),
                (0, width // 2, height, 1),
                (height // 2, 0, 1, width),
                middle,
            ]
        )

    def flips(self) -> Tensor:
        return torch.tensor([True, False, True, False, True])

    def oracle(self, x: Tensor) -> Tensor:
        results = []
        for image, (top, left, height, width), flipped in zip(
            x.double().numpy(), self.boxes().tolist(), self.flips().tolist(), strict=True
        ):
            resized = reference.resize(
                image[:, top : top + height, left : left + width], self.after, "bilinear", self.antialias
            )
            results.append(resized[..., ::-1] if flipped and self.flip else resized)
        return torch.from_numpy(np.stack(results))

    def kernel(
        self,
        x: Tensor,
        dtype: torch.dtype,
        scale: tuple[float, ...] = (1.0,) * 4,
        shift: tuple[float, ...] = (0.0,) * 4,
    ) -> Tensor:
        rule = {"interpolation": "bilinear", "antialias": self.antialias}
        assert kernels.why_unsupported_crops(x.to(DEVICE), self.after, dtype, **rule) is None
        scales, shifts = (torch.tensor(values[: self.channels], device=DEVICE) for values in (scale, shift))
        flip = self.flips().to(DEVICE) if self.flip else None
        args = x.to(DEVICE), self.boxes().to(DEVICE), self.after
        out = kernels.launch_crop_resize(
            *args, flip=flip, scale=scales, shift=shifts, antialias=self.antialias, dtype=dtype
        )
        assert (out.dtype, out.shape) == (dtype, (5, self.channels, *self.after))
        assert out.is_contiguous(memory_format=self.layout)
        return out.cpu()


CASES = {
    "a little smaller": Case((6, 17), (5, 13), channels=2),
    "smaller, channels last": Case((9, 11), (4, 7), layout=torch.channels_last),
    "far smaller, no antialias": Case((23, 19), (3, 5), antialias=False, channels=1),
    "larger, no flips": Case((3, 5), (7, 19), channels=1, flip=False),
    "far smaller, four channels": Case((17, 23), (3, 4), channels=4, layout=torch.channels_last),
    "larger, no antialias, channels last": Case((4, 7), (5, 9), antialias=False, layout=torch.channels_last),
    "two strips of rows": Case((4, 3), (34, 2), channels=1, flip=False),
    "two blocks of columns": Case((3, 130), (2, 300), channels=1),
    "two blocks of columns, channels last": Case((2, 60), (3, 100), layout=torch.channels_last),
    "halves": Case((4, 4), (2, 2), antialias=False, channels=4, layout=torch.channels_last),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_float32_equals_the_oracle(case: Case) -> None:
    x = case.images(torch.float32)
    torch.testing.assert_close(case.kernel(x, torch.float32).double(), case.oracle(x), rtol=0, atol=ATOL)


@pytest.mark.parametrize("name", ["a little smaller", "larger, no antialias, channels last", "halves"])
def test_uint8_is_rounded_half_to_even(name: str) -> None:
    case = CASES[name]
    x = case.images(torch.uint8)
    exact = case.oracle(x)
    ours = case.kernel(x, torch.uint8).double()
    assert ((ours - exact).abs() <= 0.5 + 255 * ATOL).all()
    if name == "halves":  # means of two and of four whole numbers, which are exact
        assert torch.equal(ours, exact.round())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("name", list(CASES)[:3])
def test_the_error_of_normalised_uint8_is_at_most_twice_one_rounding(name: str, dtype: torch.dtype) -> None:
    case = CASES[name]
    x = case.images(torch.uint8)
    scale = tuple(factor / 255 for factor in SCALE)
    scales, shifts = (
        torch.tensor(values[: case.channels], dtype=torch.float64)[:, None, None] for values in (scale, SHIFT)
    )
    exact = case.oracle(x) * scales + shifts
    ours = case.kernel(x, dtype, scale, SHIFT)
    assert (ours.double() - exact).abs().max() <= 2 * (exact.to(dtype).double() - exact).abs().max() + ATOL


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_images_are_read(dtype: torch.dtype) -> None:
    case = CASES["smaller, channels last"]
    x = case.images(dtype)
    torch.testing.assert_close(case.kernel(x, torch.float32).double(), case.oracle(x), rtol=0, atol=ATOL)


def test_views_are_read_by_their_strides() -> None:
    case = CASES["a little smaller"]
    x = torch.zeros(5, 6, 2, 40).permute(0, 2, 1, 3)[..., 5:22].copy_(case.images(torch.float32))
    assert not x.is_contiguous()
    torch.testing.assert_close(case.kernel(x, torch.float32).double(), case.oracle(x), rtol=0, atol=ATOL)


def test_flips_are_read_by_their_strides(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["a little smaller"]
    x = case.images(torch.float32)
    column = torch.stack([case.flips(), ~case.flips()], 1)[:, 0]
    monkeypatch.setattr(Case, "flips", lambda case: column)
    torch.testing.assert_close(case.kernel(x, torch.float32).double(), case.oracle(x), rtol=0, atol=ATOL)


def test_pixels_outside_the_box_do_not_contribute() -> None:
    case = CASES["a little smaller"]
    x = case.images(torch.float32)
    y = torch.full_like(x, torch.nan)
    for image, old, (top, left, height, width) in zip(y, x, case.boxes().tolist(), strict=True):
        image[:, top : top + height, left : left + width] = old[:, top : top + height, left : left + width]
    assert torch.equal(case.kernel(x, torch.float32), case.kernel(y, torch.float32))


def test_crop_resize_hands_its_arguments_to_the_kernel() -> None:
    case = CASES["smaller, channels last"]
    x, boxes = case.images(torch.uint8), case.boxes().int().t().contiguous().t()
    rule = {"flip": case.flips(), "mean": (0.5, 0.25, 0.125), "std": (0.5, 0.25, 0.2), "dtype": torch.float32}
    with mock.patch.object(torch.compiler, "is_compiling", return_value=True):
        expected = crop_resize(x, boxes, case.after, **rule)
    affine = make_affine(x.to(DEVICE), torch.float32, rule["mean"], rule["std"])
    plan = CropPlan(boxes, case.after, case.flips(), affine, "bilinear", True, torch.float32)
    torch.testing.assert_close(_resize_by_kernel(x.to(DEVICE), plan).cpu(), expected, rtol=0, atol=1e-5)

    plain = replace(plan, flip=None, affine=None, dtype=torch.uint8)
    difference = _resize_by_kernel(x.to(DEVICE), plain).cpu().int() - crop_resize(x, boxes, case.after).int()
    assert difference.abs().max() <= 1
    assert _resize_by_kernel(x.to(DEVICE), replace(plain, interpolation="bicubic")) is None


@pytest.mark.slow
@pytest.mark.parametrize("antialias", [True, False])
def test_every_pair_of_lengths_equals_the_oracle(antialias: bool) -> None:
    """Where a position is nearly whole, rounding can make the kernel read the wrong pixels."""
    for before in (4, 5, 7, 10, 12, 17, 24, 33):
        for after in (before // 7 + 2, before // 2, before - 1, before, before + 1, 2 * before, 31):
            case = Case((before, 3), (after, 2), antialias, channels=1, flip=False)
            x = case.images(torch.float32)
            torch.testing.assert_close(case.kernel(x, torch.float32).double(), case.oracle(x), rtol=0, atol=ATOL)
