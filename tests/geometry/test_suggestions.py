"""What a report suggests, run as it is printed on the model that it was printed for, and measured on images with values."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn
from resizenet.surgery import _families

TV = torchvision.models


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_families, "_registered", {})


class Wrapper(nn.Module):
    """Somebody's module around a whole network."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = TV.resnet18(num_classes=5)

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x)


class Plain(nn.Module):
    """A stem of stride 4, three convolutions that halve the map, and a classifier."""

    def __init__(self, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.pool = nn.Conv2d(3, 4, 7, stride=2, padding=3), pool
        self.rest = nn.Sequential(*(nn.Conv2d(4, 4, 3, stride=2, padding=1) for _ in range(3)))
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = F.max_pool2d(x, 3, 2, 1) if self.pool is None else self.pool(x)
        return self.fc(self.rest(x).mean((2, 3)))


class Flat(Plain):
    """Its classifier takes a map of one size only."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rest(self.pool(self.first(x))).flatten(1))


def timm_resnet(**options: object) -> nn.Module:
    return timm.models.resnet.ResNet(
        timm.models.resnet.BasicBlock, (1, 1, 1, 1), channels=(8, 16, 24, 32), stem_width=8, num_classes=5, **options
    )


def extent(model: nn.Module, side: int) -> tuple[tuple[int, int], int]:
    """(size of the last convolution's map, multiply-accumulates) of a real image, counted by hooks."""
    maps: list[tuple[int, int]] = []
    macs = 0

    def note(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal macs
        macs += out.numel() * module.weight[0].numel()
        if isinstance(module, nn.Conv2d):
            maps.append((out.shape[2], out.shape[3]))

    hooks = [
        module.register_forward_hook(note) for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    with torch.no_grad():
        model.eval()(torch.rand(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return maps[-1], macs


def told(model: nn.Module, side: int, word: str) -> list[str]:
    return [text for text in rn.report(model, side).suggestions if word in text]


def promised(text: str) -> tuple[tuple[int, int], float]:
    """(last map, times the MACs)."""
    height, width, times = re.search(r"a (\d+)x(\d+) last map, (\d+\.\d) times the MACs", text).groups()
    return (int(height), int(width)), float(times)


# --- adapt

KNOWN: dict[str, Callable[[], nn.Module]] = {
    "torchvision": lambda: TV.resnet18(num_classes=5),
    "torchvision without pool": lambda: rn.adapt(TV.resnet18(num_classes=5), 32, stem="no_pool"),
    "densenet without pool": lambda: rn.adapt(TV.DenseNet(8, (1, 1, 1, 1), 8, num_classes=5), 32, stem="no_pool"),
    "ours without pool": lambda: rn.create_model("resnet18", stem="no_pool"),
    "timm without pool": lambda: rn.adapt(timm_resnet(), 32, stem="no_pool"),
    "timm with a pool that has weights": lambda: timm_resnet(stem_type="deep", replace_stem_pool=True),
}
UNKNOWN: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a pool": (lambda: Plain(nn.MaxPool2d(3, 2, 1)), 'conv="first", pool="pool", classifier="fc"'),
    "shufflenet": (lambda: TV.shufflenet_v2_x0_5(num_classes=5), 'conv="conv1.0", pool="maxpool", classifier="fc"'),
    "googlenet": (
        lambda: TV.GoogLeNet(num_classes=5, aux_logits=False, init_weights=False),
        'conv="conv1.conv", pool="maxpool1", classifier="fc"',
    ),
    "no pool": (lambda: TV.mobilenet_v2(num_classes=5), 'conv="features.0.0", classifier="classifier.1"'),
}


@pytest.mark.parametrize("name", [*KNOWN, *UNKNOWN])
def test_adapting_as_printed_does_what_it_promises(name: str) -> None:
    model = (KNOWN[name] if name in KNOWN else UNKNOWN[name][0])()
    (text,) = told(model, 32, "resizenet.adapt(")
    code, _, promise = text.partition(": the same weights, ")
    registering = f"resizenet.surgery.register_family(type(model), {UNKNOWN[name][1]}); " if name in UNKNOWN else ""
    assert code == f'{registering}resizenet.adapt(model, 32, stem="cifar")'
    *statements, expression = code.split("; ")
    names = {"resizenet": rn, "model": model}
    exec("; ".join(statements), names)
    last, macs = extent(eval(expression, names), 32)
    size, times = promised(promise)
    assert (
        last == size == ((2, 2) if name == "no pool" else (4, 4))
    )  # 32 px over what is left of a stride of 32; one convolution of 2 in mobilenet's stem
    assert macs / extent(model, 32)[1] == pytest.approx(times, abs=0.051)


@pytest.mark.parametrize("name", KNOWN)
def test_a_type_that_adapt_knows_is_never_to_be_registered(name: str) -> None:
    assert told(KNOWN[name](), 32, "register_family") == []


NOT_TO_BE_ADAPTED: dict[str, Callable[[], nn.Module]] = {
    "a pool that is no module": Plain,
    "a classifier for one size": lambda: Flat(nn.MaxPool2d(3, 2, 1)),
    "a classifier that is a convolution": lambda: TV.squeezenet1_1(num_classes=5),
    "a linear layer that makes no logits": lambda: timm.create_model("mobilenetv3_small_050", num_classes=0),
    "a wrapper": Wrapper,
    "a compiled model": lambda: torch.compile(TV.resnet18(num_classes=5)),
    "a compiled model of another family": lambda: torch.compile(TV.mobilenet_v2(num_classes=5)),
    "a sequential": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 7, 2, 3), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 3, 4), nn.Flatten(), nn.Linear(16, 5)
    ),
    "resized images": lambda: rn.FixedResizer(32).wrap(TV.resnet18(num_classes=5)),
}


@pytest.mark.filterwarnings(
    "ignore:Using `torch.compile:UserWarning"
)  # what counts the operations listens to every module
@pytest.mark.parametrize("name", NOT_TO_BE_ADAPTED)
def test_what_cannot_be_adapted_is_not_to_be(name: str) -> None:
    assert told(NOT_TO_BE_ADAPTED[name](), 32, "adapt(") == []


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_printed_for_one_model_leaves_the_others_of_its_type_alone(name: str) -> None:
    model = KNOWN[name]()
    for text in told(model, 32, "adapt("):
        exec(text.partition(": the same")[0], {"resizenet": rn, "model": model})
    other = TV.resnet18(num_classes=5) if name.startswith("torchvision") else timm_resnet()
    assert isinstance(rn.adapt(other, 32).maxpool, nn.Identity)


# --- upscaling


@pytest.mark.parametrize(
    ("build", "side", "larger", "cells"),
    [
        (lambda: TV.resnet18(num_classes=5), 32, 128, 4),
        (lambda: TV.squeezenet1_1(num_classes=5), 64, 128, 7),  # 128 -> 63 -> 31 -> 15 -> 7, without padding
        (
            lambda: TV.squeezenet1_1(num_classes=5),
            32,
            96,
            5,
        ),  # twice is 64 -> 31 -> 15 -> 7 -> 3, thrice 96 -> 47 -> 23 -> 11 -> 5
        (
            lambda: nn.Sequential(*(nn.Conv2d(3, 3, 3, stride=2) for _ in range(3))),
            33,
            66,
            7,
        ),  # 33 -> 16 -> 7 -> 3; 66 -> 32 -> 15 -> 7
    ],
)
def test_upscaling_goes_on_until_the_map_is_large_enough(
    build: Callable[[], nn.Module], side: int, larger: int, cells: int
) -> None:
    model = build()
    (text,) = told(model, side, "UpscalePolicy")
    assert text.startswith(f"resizenet.transforms.UpscalePolicy({larger}): a {cells}x{cells} last map, ")
    (last, macs), (size, times) = extent(model, larger), promised(text)
    assert last == size
    assert macs / extent(model, side)[1] == pytest.approx(times, abs=0.051)


@pytest.mark.parametrize(
    ("resizer", "side"), [(rn.FixedResizer(64), 32), (rn.Resizer(32), 64), (rn.LinearResizer(32), 64)]
)
def test_upscaling_is_not_suggested_before_a_resizer(resizer: nn.Module, side: int) -> None:
    assert rn.report(resizer.wrap(TV.resnet18(num_classes=5)), side).suggestions == ()


# --- dilation


@pytest.mark.parametrize(
    "name", ["dla34", "ese_vovnet19b_dw", pytest.param("ghostnet_100", marks=pytest.mark.slow), "vgg11"]
)
def test_an_output_stride_that_timm_refuses_is_not_suggested(name: str) -> None:
    with pytest.raises(AssertionError):
        timm.create_model(name, output_stride=16)
    with torch.device("meta"):
        model = timm.create_model(name)
    assert told(model, 64, "output_stride") == []


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet18", "efficientnet_b0", "convnext_atto")),
    ],
)
def test_an_output_stride_that_timm_takes_does_what_it_promises(name: str) -> None:
    (text,) = told(timm.create_model(name), 64, "output_stride")
    assert text == "output_stride=16 when the model is made: the same weights, dilated kernels, a last map of about 4x4"
    made, model = timm.create_model(name, output_stride=16), timm.create_model(name)
    assert made.eval().forward_features(torch.rand(1, 3, 64, 64)).shape[2:] == (4, 4)
    assert [p.shape for p in made.parameters()] == [p.shape for p in model.parameters()]


def test_asking_for_suggestions_draws_no_random_numbers() -> None:
    model = timm.create_model("test_resnet")
    state = torch.get_rng_state()
    rn.report(model, 32)
    assert torch.equal(torch.get_rng_state(), state)
