"""Every Hypothesis strategy of the suite. ``test_strategies.py`` checks that the interesting regions are really generated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

ODD_PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31)

interpolations = st.sampled_from(["nearest-exact", "bilinear", "bicubic"])
linear_interpolations = st.sampled_from(["bilinear", "bicubic"])  # those with weights; nearest breaks ties to one side
antialiases = st.booleans()
lengths = st.one_of(st.sampled_from(ODD_PRIMES), st.integers(1, 32), st.just(1))
sizes = st.tuples(lengths, lengths)
float_dtypes = st.sampled_from([torch.float64, torch.float32])
half_dtypes = st.sampled_from([torch.float16, torch.bfloat16])
image_dtypes = st.sampled_from([torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.uint8])
memory_formats = st.sampled_from([torch.contiguous_format, torch.channels_last])
positive_lengths = st.floats(0.01, 1e6, allow_nan=False)
bad_sizes = st.one_of(
    st.integers(max_value=0),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
    st.lists(st.integers(1, 9), min_size=3, max_size=5),
    st.tuples(st.integers(max_value=0), st.integers(1, 9)),
    st.tuples(st.integers(1, 9), st.floats()),
)


@dataclass(frozen=True)
class Resizing:
    """One resize: from a size to a size, by a rule."""

    before: tuple[int, int]
    after: tuple[int, int]
    interpolation: str
    antialias: bool

    @property
    def rule(self) -> dict[str, object]:
        return {"interpolation": self.interpolation, "antialias": self.antialias}


def resizings(interpolations: st.SearchStrategy[str] = linear_interpolations) -> st.SearchStrategy[Resizing]:
    after_equal = st.builds(lambda size, *rule: Resizing(size, size, *rule), sizes, interpolations, antialiases)
    return st.one_of(st.builds(Resizing, sizes, sizes, interpolations, antialiases), after_equal)


@st.composite
def images(
    draw: st.DrawFn,
    size: st.SearchStrategy[tuple[int, int]] | tuple[int, int] = sizes,
    dtypes: st.SearchStrategy[torch.dtype] = float_dtypes,
    min_batch: int = 1,
) -> Tensor:
    """(B, C, H, W), uniform in [0, 1), or in 0..255 for uint8."""
    height, width = size if isinstance(size, tuple) else draw(size)
    shape = (draw(st.integers(min_batch, 3)), draw(st.integers(1, 5)), height, width)
    dtype = draw(dtypes)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    if dtype == torch.uint8:
        image = torch.randint(256, shape, generator=generator, dtype=dtype)
    else:
        image = torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)
    return image.contiguous(memory_format=draw(memory_formats))
