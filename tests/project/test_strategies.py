"""The Hypothesis strategies generate the cases in which resizing goes wrong, within 200 examples."""

from collections.abc import Callable
from random import Random

import pytest
import torch
from hypothesis import find, settings

from strategies import ODD_PRIMES, Resizing, images, interpolations, resizings
from strategies import image_dtypes as dtypes

BUDGET = settings(max_examples=200, deadline=None, database=None)

REGIONS: dict[str, Callable[[Resizing], bool]] = {
    "up": lambda r: r.after[0] > r.before[0] and r.after[1] > r.before[1],
    "down": lambda r: r.after[0] < r.before[0] and r.after[1] < r.before[1],
    "up and down": lambda r: r.after[0] > r.before[0] and r.after[1] < r.before[1],
    "far down": lambda r: r.before[0] > 2 * r.after[0] > 2,
    "same size": lambda r: r.after == r.before,
    "from one pixel": lambda r: r.before == (1, 1) and r.after > (1, 1),
    "to one pixel": lambda r: r.after == (1, 1) and r.before > (1, 1),
    "not square": lambda r: r.before[0] != r.before[1] and r.after[0] != r.after[1],
    "odd primes": lambda r: {*r.before, *r.after} <= set(ODD_PRIMES),
    "antialiased bicubic": lambda r: r.interpolation == "bicubic" and r.antialias,
    "bicubic that is not antialiased": lambda r: r.interpolation == "bicubic" and not r.antialias,
}


@pytest.mark.parametrize("region", REGIONS)
def test_resizings_reach_the_region(region: str) -> None:
    found = find(resizings(), REGIONS[region], settings=BUDGET, random=Random(0))
    assert REGIONS[region](found)


def test_resizings_reach_nearest_when_asked_for_every_interpolation() -> None:
    assert find(
        resizings(interpolations), lambda r: r.interpolation == "nearest-exact", settings=BUDGET, random=Random(0)
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.uint8], ids=str)
def test_images_reach_the_dtype(dtype: torch.dtype) -> None:
    found = find(
        images(dtypes=dtypes), lambda x: x.dtype == dtype and x.numel() > 20, settings=BUDGET, random=Random(0)
    )
    assert found.unique().numel() > 1


def test_images_reach_channels_last_and_an_empty_batch() -> None:
    def channels_last(x: torch.Tensor) -> bool:
        return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()

    assert channels_last(find(images(), channels_last, settings=BUDGET, random=Random(0)))
    assert len(find(images(min_batch=0), lambda x: len(x) == 0, settings=BUDGET, random=Random(0))) == 0
