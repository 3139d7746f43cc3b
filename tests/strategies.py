"""Every Hypothesis strategy of the suite. ``test_strategies.py`` checks that the interesting regions are really generated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from resizenet.transforms import ResolutionSchedule

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


@dataclass(frozen=True)
class Network:
    """A small ResNet of ours as plain values, and the images that it is given."""

    block: str
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    stem: str
    shortcut: str
    downsample: str
    se_reduction: int
    in_channels: int
    num_classes: int
    batch: int
    size: tuple[int, int]

    @property
    def stride(self) -> int:
        return {"cifar": 1, "no_pool": 2, "imagenet": 4, "space_to_depth": 4}[self.stem] * 2 ** (len(self.depths) - 1)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Widths rise, so that every shortcut can join them; sizes reach from below the stride to far above it."""
    stages = draw(st.integers(1, 4))
    return Network(
        block=draw(st.sampled_from(["BasicBlock", "Bottleneck", "PreActBlock", "PreActBottleneck", "WideBlock"])),
        depths=tuple(draw(st.lists(st.integers(1, 2), min_size=stages, max_size=stages))),
        widths=tuple(sorted(draw(st.lists(st.integers(1, 12), min_size=stages, max_size=stages)))),
        stem=draw(st.sampled_from(["cifar", "no_pool", "imagenet", "space_to_depth"])),
        shortcut=draw(st.sampled_from(["projection", "pad", "pad_after"])),
        downsample=draw(st.sampled_from(["stride", "average", "blur"])),
        se_reduction=draw(st.sampled_from([0, 4])),
        in_channels=draw(st.integers(1, 12)),
        num_classes=draw(st.integers(1, 7)),
        batch=draw(st.integers(1, 3)),
        size=(draw(st.integers(8, 97)), draw(st.integers(8, 97))),
    )


positions = st.sampled_from(["center", "top_left", "top_right", "bottom_left", "bottom_right"])
strides = st.sampled_from([1, 2, 3, 5, 8])


@dataclass(frozen=True)
class Letterboxing:
    """A source, a target, and how the one is put into the other; the stride divides the target."""

    source: tuple[int, int]
    target: tuple[int, int]
    position: str
    upscale: bool
    stride: int | None

    @property
    def arguments(self) -> dict[str, object]:
        return {"position": self.position, "upscale": self.upscale, "stride": self.stride}


@st.composite
def letterboxings(draw: st.DrawFn) -> Letterboxing:
    """Sources from a pixel to a panorama, smaller and larger than the target."""
    stride = draw(st.none() | strides)
    sides = [stride * draw(st.integers(1, 8)) if stride else draw(lengths) for _ in range(2)]
    source = draw(st.one_of(sizes, st.tuples(st.just(1), st.integers(1, 1000)), st.tuples(st.integers(1, 1000), st.just(1)), st.just(tuple(sides))))
    return Letterboxing(source, (sides[0], sides[1]), draw(positions), draw(st.booleans()), stride)


@st.composite
def boxes_in(draw: st.DrawFn, size: tuple[int, int]) -> list[list[float]]:
    """One to four boxes (left, top, right, bottom) inside an image of that size, in float coordinates, empty ones among them."""
    shares = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=2).map(sorted)
    height, width = size
    corners = [(draw(shares), draw(shares)) for _ in range(draw(st.integers(1, 4)))]
    return [[x[0] * width, y[0] * height, x[1] * width, y[1] * height] for x, y in corners]


progresses = st.floats(0, 1, allow_nan=False)


@st.composite
def schedules(draw: st.DrawFn) -> ResolutionSchedule:
    """Every rule, sides of both orders, multiples from 1 to 16."""
    multiple = draw(st.sampled_from([1, 3, 4, 16]))
    start, end = (tuple(multiple * draw(st.integers(1, 12)) for _ in range(2)) for _ in range(2))
    until = draw(st.sampled_from([1.0, 0.5, 0.3]))
    return draw(
        st.sampled_from(
            [
                ResolutionSchedule.linear(start, end, until=until, multiple=multiple),
                ResolutionSchedule.step(start, end, steps=draw(st.integers(2, 5)), until=until, multiple=multiple),
                ResolutionSchedule.stages({0: start, until / 2: end, until: start}),
                ResolutionSchedule.cyclic(start, end, cycles=draw(st.integers(1, 4)), multiple=multiple),
                ResolutionSchedule.mix({start: 0.3, end: 0.7}, seed=draw(st.integers(0, 9))),
            ]
        )
    )


@st.composite
def odd_filters(draw: st.DrawFn) -> Tensor:
    """(O, I, k, k) with odd k up to 9, in both formats and every float dtype."""
    k = draw(st.sampled_from([1, 3, 5, 7, 9]))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 3)), k, k)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    weight = torch.randn(shape, generator=generator, dtype=torch.float64).to(draw(st.one_of(float_dtypes, half_dtypes)))
    return weight.contiguous(memory_format=draw(memory_formats))
