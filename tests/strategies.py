"""All Hypothesis strategies. ``test_strategies.py`` checks that they generate the interesting cases."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from resizenet.transforms import ResolutionSchedule

ODD_PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31)

interpolations = st.sampled_from(["nearest-exact", "bilinear", "bicubic"])
linear_interpolations = st.sampled_from(["bilinear", "bicubic"])  # nearest is different: it breaks ties to one side
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
    st.integers(min_value=2**31),
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
    """The arguments of one resize."""

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


@st.composite
def views(draw: st.DrawFn) -> Tensor:
    """Crops of a larger batch, rows as columns, and columns as rows; half of them are uint8."""
    dtypes = st.just(torch.uint8) | image_dtypes
    if draw(st.booleans()):
        line = draw(st.permutations([st.just(1), lengths]))
        return draw(images(st.tuples(*line), dtypes)).mT
    x = draw(images(dtypes=dtypes))
    channel, top, left = (draw(st.integers(0, side - 1)) for side in x.shape[1:])
    height, width = (draw(st.just(1) | st.integers(1, end)) for end in (x.shape[2] - top, x.shape[3] - left))
    return x[:, channel:, top : top + height, left : left + width]


@dataclass(frozen=True)
class Network:
    """A small ``models.ResNet`` as plain values, and the shape of its input."""

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
    """Widths increase, as the shortcut "pad" needs; sizes go from below the stride to far above it."""
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
    """The arguments of one letterbox; the stride divides the target."""

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
    """Sources from one pixel to a panorama, smaller and larger than the target."""
    stride = draw(st.none() | strides)
    sides = [stride * draw(st.integers(1, 8)) if stride else draw(lengths) for _ in range(2)]
    source = draw(
        st.one_of(
            sizes,
            st.tuples(st.just(1), st.integers(1, 1000)),
            st.tuples(st.integers(1, 1000), st.just(1)),
            st.just(tuple(sides)),
        )
    )
    return Letterboxing(source, (sides[0], sides[1]), draw(positions), draw(st.booleans()), stride)


@st.composite
def boxes_in(draw: st.DrawFn, size: tuple[int, int]) -> list[list[float]]:
    """One to four boxes (left, top, right, bottom) inside an image, in float coordinates; some are empty."""
    shares = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=2).map(sorted)
    height, width = size
    corners = [(draw(shares), draw(shares)) for _ in range(draw(st.integers(1, 4)))]
    return [[x[0] * width, y[0] * height, x[1] * width, y[1] * height] for x, y in corners]


progresses = st.floats(0, 1, allow_nan=False)


@st.composite
def schedules(draw: st.DrawFn) -> ResolutionSchedule:
    """Every kind of schedule, growing and shrinking, with multiples from 1 to 16."""
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
    """(O, I, k, k) with odd k up to 9, in both memory formats and every float dtype."""
    k = draw(st.sampled_from([1, 3, 5, 7, 9]))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 3)), k, k)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    weight = torch.randn(shape, generator=generator, dtype=torch.float64).to(draw(st.one_of(float_dtypes, half_dtypes)))
    return weight.contiguous(memory_format=draw(memory_formats))


Pair = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """One layer of a small linear network; pairs are (vertical, horizontal). A kind ignores what it does not need.

    Kinds: "conv"; "average"; "crop", every stride-th line from ``padding`` on; "pad", by ``padding`` on the left and
    top; "permuted", a 1x1 layer in channels-last axes; "space_to_depth".
    """

    kind: str
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)


@dataclass(frozen=True)
class Branches:
    """Parallel paths from one map, with equal stride and centers, that are added or concatenated."""

    paths: tuple[tuple[Layer, ...], ...]
    join: str  # "add", "cat"


def _pairs(values: st.SearchStrategy[int]) -> st.SearchStrategy[Pair]:
    return st.tuples(values, values)


@st.composite
def _layers(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from(["conv", "conv", "conv", "average", "crop", "pad", "permuted", "space_to_depth"]))
    kernel = draw(_pairs(st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    return Layer(
        kind,
        kernel,
        draw(_pairs(st.sampled_from([1, 1, 2, 3]))),
        (padding[0], padding[1]),
        draw(_pairs(st.integers(1, 3))),
    )


@st.composite
def _centered(draw: st.DrawFn, stride: Pair) -> Layer:
    """A convolution or pooling with an odd kernel, whose output has ceil(n / stride) lines."""
    kernel, dilation = draw(_pairs(st.sampled_from([1, 3, 5]))), draw(_pairs(st.integers(1, 2)))
    kind = draw(st.sampled_from(["conv", "conv", "average"]))
    spread = dilation if kind == "conv" else (1, 1)
    return Layer(kind, kernel, stride, (spread[0] * (kernel[0] // 2), spread[1] * (kernel[1] // 2)), spread)


@st.composite
def _branches(draw: st.DrawFn) -> Branches:
    stride = draw(_pairs(st.sampled_from([1, 2])))
    paths = [
        (draw(_centered(stride)), *draw(st.lists(_centered((1, 1)), max_size=1)))
        for _ in range(draw(st.integers(2, 3)))
    ]
    return Branches(tuple(paths), draw(st.sampled_from(["add", "cat"])))


small_networks = st.lists(st.one_of(_layers(), _branches()), min_size=1, max_size=4)
"""Small networks: even and odd kernels, strides, dilations, paddings, crops, permutations, sums, concatenations."""


@dataclass(frozen=True)
class Slide:
    """A sliding window along one axis, which fits its padded map."""

    before: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    @property
    def after(self) -> int:
        return (self.before + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1


slides = st.builds(
    Slide, st.integers(1, 12), st.integers(1, 7), st.integers(1, 4), st.integers(0, 6), st.integers(1, 3)
).filter(lambda s: s.after > 0)
added_ends = st.tuples(st.integers(0, 5), st.integers(0, 5))  # lines of padding before and after a map


@dataclass(frozen=True)
class Cropping:
    """The arguments of one ``crop_resize``: a box (top, left, height, width) and a flip for each image."""

    before: tuple[int, int]
    boxes: list[tuple[int, int, int, int]]
    flip: list[bool]
    after: tuple[int, int]
    interpolation: str
    antialias: bool

    @property
    def arguments(self) -> dict[str, object]:
        rule = {"interpolation": self.interpolation, "antialias": self.antialias}
        return {"boxes": torch.tensor(self.boxes), "size": self.after, "flip": torch.tensor(self.flip), **rule}


@st.composite
def croppings(draw: st.DrawFn, interpolations: st.SearchStrategy[str] = linear_interpolations) -> Cropping:
    """Boxes from one pixel to the whole image, at the border and inside."""
    before = draw(sizes)
    boxes = []
    for _ in range(draw(st.integers(1, 3))):
        lengths_of_box = [draw(st.integers(1, side) | st.just(side) | st.just(1)) for side in before]
        starts = [
            draw(st.integers(0, side - length) | st.just(side - length))
            for side, length in zip(before, lengths_of_box, strict=True)
        ]
        boxes.append((*starts, *lengths_of_box))
    flip = draw(st.lists(st.booleans(), min_size=len(boxes), max_size=len(boxes)))
    return Cropping(before, boxes, flip, draw(sizes), draw(interpolations), draw(antialiases))


@st.composite
def convolution_stacks(draw: st.DrawFn) -> list[nn.Conv2d]:
    """One to four convolutions with odd kernels that keep ceil(n / stride) positions, on three channels."""
    layers, channels = [], 3
    for _ in range(draw(st.integers(1, 4))):
        kernel, dilation = draw(st.sampled_from([1, 3, 5, 7])), draw(st.sampled_from([1, 1, 2, 12]))
        shape = channels, draw(st.integers(1, 5)), kernel
        layers.append(nn.Conv2d(*shape, draw(st.integers(1, 3)), dilation * (kernel // 2), dilation))
        channels = shape[1]
    return layers
