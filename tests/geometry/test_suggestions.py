"""Test what a report suggests: each suggestion is run as printed, and its effect is measured on images with values."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn
from resizenet._tracing import _trace

TV = torchvision.models


class Wrapper(nn.Module):
    """A module around a whole network."""

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
    """A network whose classifier takes a map of one size only."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rest(self.pool(self.first(x))).flatten(1))


def timm_resnet(**options: object) -> nn.Module:
    return timm.models.resnet.ResNet(
        timm.models.resnet.BasicBlock, (1, 1, 1, 1), channels=(8, 16, 24, 32), stem_width=8, num_classes=5, **options
    )


def extent(model: nn.Module, side: int) -> tuple[tuple[int, int], int]:
    """Return the size of the last convolution's map and the multiply-accumulates, counted by hooks."""
    maps: list[tuple[int, int]] = []
    macs = 0

    def record(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal macs
        macs += out.numel() * module.weight[0].numel()
        if isinstance(module, nn.Conv2d):
            maps.append((out.shape[2], out.shape[3]))

    counted = [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    hooks = [module.register_forward_hook(record) for module in counted]
    with torch.no_grad():
        model.eval()(torch.rand(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return maps[-1], macs


def suggestions_with(word: str, model: nn.Module, size: int | tuple[int, int]) -> list[str]:
    return [text for text in rn.report(model, size).suggestions if word in text]


def promised(text: str) -> tuple[tuple[int, int], float]:
    """Return the size of the last map and the factor of MACs that a suggestion promises."""
    height, width, times = re.search(r"a (\d+)x(\d+) last map, (\d+\.\d) times the MACs", text).groups()
    return (int(height), int(width)), float(times)


# --- adapt

ADAPTED: dict[str, tuple[Callable[[], nn.Module], str]] = {  # and what is printed behind the size
    "torchvision": (lambda: TV.resnet18(num_classes=5), ""),
    "torchvision without pool": (lambda: rn.adapt(TV.resnet18(num_classes=5), 32, stem="no_pool"), ""),
    "densenet without pool": (lambda: rn.adapt(TV.DenseNet(8, (1, 1, 1, 1), 8, num_classes=5), 32, stem="no_pool"), ""),
    "ours without pool": (lambda: rn.create_model("resnet18", stem="no_pool"), ""),
    "timm without pool": (lambda: rn.adapt(timm_resnet(), 32, stem="no_pool"), ""),
    "timm with a pool that has weights": (lambda: timm_resnet(stem_type="deep", replace_stem_pool=True), ""),
    "a pool": (lambda: Plain(nn.MaxPool2d(3, 2, 1)), ""),
    "shufflenet": (lambda: TV.shufflenet_v2_x0_5(num_classes=5), ""),
    "googlenet": (lambda: TV.GoogLeNet(num_classes=5, aux_logits=False, init_weights=False), ""),
    "mobilenet": (lambda: TV.mobilenet_v2(num_classes=5), ""),
    "squeezenet": (lambda: TV.squeezenet1_1(num_classes=5), ", output_stride=4"),
    "a wrapper": (Wrapper, ""),
}


@pytest.mark.parametrize("name", ADAPTED)
def test_adapting_as_printed_has_the_promised_effect(name: str) -> None:
    model = ADAPTED[name][0]()
    text = suggestions_with("resizenet.adapt(", model, 32)[0]
    code, _, promise = text.partition(": ")
    assert code == f"resizenet.adapt(model, 32{ADAPTED[name][1]})"
    last, macs = extent(eval(code, {"resizenet": rn, "model": model}), 32)
    size, times = promised(promise)
    assert last == size == ((4, 4) if name != "squeezenet" else (7, 7))
    assert macs / extent(model, 32)[1] == pytest.approx(times, abs=0.051)


@pytest.mark.parametrize(
    "name", ["test_efficientnet", "convnext_atto", pytest.param("mvitv2_tiny", marks=pytest.mark.slow)]
)
def test_what_is_suggested_computes_with_values(name: str) -> None:
    """A suggestion for timm's mvitv2_tiny once crashed on real images."""
    model = timm.create_model(name, num_classes=5)
    text = suggestions_with("resizenet.adapt(", model, 32)[0]
    adapted = eval(text.partition(": ")[0], {"resizenet": rn, "model": model})
    out = adapted(torch.rand(2, 3, 32, 32))
    out.sum().backward()
    assert out.shape == (2, 5)
    assert out.isfinite().all()


NOT_ADAPTED: dict[str, Callable[[], nn.Module]] = {
    "a pool that is no module": Plain,
    "a classifier for one size": lambda: Flat(nn.MaxPool2d(3, 2, 1)),
    "resized images": lambda: rn.FixedResizer(32).wrap(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3600, 5))
    ),
}


@pytest.mark.parametrize("name", NOT_ADAPTED)
def test_adapting_is_not_suggested_if_adapt_cannot_do_it(name: str) -> None:
    assert suggestions_with("adapt(", NOT_ADAPTED[name](), 32) == []


def test_suggestions_for_resnet18_and_their_order() -> None:
    adapting, upscaling = rn.report(TV.resnet18(num_classes=10), 32).suggestions
    code = "resizenet.adapt(model, 32)"
    assert adapting == f"{code}: a 4x4 last map, 15.0 times the MACs (555.4 M); for training from scratch"
    code = "resizenet.transforms.UpscalePolicy(128)"
    assert upscaling == f"{code}: a 4x4 last map, 16.0 times the MACs (592.2 M); for pretrained weights"


@pytest.mark.parametrize(("size", "stride"), [(32, 8), (48, 8), (64, 16), ((32, 48), 8)])
def test_a_report_after_following_a_suggestion_has_no_more(size: int | tuple[int, int], stride: int) -> None:
    model = TV.resnet18(num_classes=10)
    adapting, upscaling, *_ = rn.report(model, size).suggestions
    assert adapting.startswith(f"resizenet.adapt(model, {size}{', output_stride=8' if size == 48 else ''}): ")
    policy = eval(upscaling.partition(": ")[0], {"resizenet": rn})
    for text, after in (
        (adapting, rn.report(rn.adapt(model, size, output_stride=stride), size)),
        (upscaling, rn.report(model, policy.eval_size)),
    ):
        assert min(after.final.output_map) >= 4
        assert after.final.output_map == promised(text)[0]
        assert after.suggestions == ()


# --- upscaling and folding


@pytest.mark.parametrize(
    ("build", "side", "factor"),
    [
        (lambda: TV.resnet18(num_classes=5), 64, 2),
        (lambda: timm.create_model("convnext_atto", num_classes=5), 32, 4),
    ],
)
@torch.inference_mode()
def test_folding_as_printed_computes_what_upscaling_computes(
    build: Callable[[], nn.Module], side: int, factor: int
) -> None:
    model = build().eval()
    (text,) = suggestions_with('stem="fold"', model, side)
    folded = eval(text.partition(": ")[0], {"resizenet": rn, "model": model})
    (upscaling,) = suggestions_with("UpscalePolicy", model, side)
    assert f"UpscalePolicy({factor * side})" in upscaling
    assert promised(text)[0] == promised(upscaling)[0]
    border = side // 4  # is cut off before both networks see the rest
    images = F.pad(torch.rand(2, 3, side - 2 * border, side - 2 * border), [border] * 4)
    upscaled = F.interpolate(images, scale_factor=factor, mode="bilinear")
    torch.testing.assert_close(folded(images), model(upscaled), rtol=1e-3, atol=1e-4)


def test_folding_is_not_suggested_where_it_leaves_a_smaller_map_than_upscaling() -> None:
    assert suggestions_with("fold", TV.resnet18(num_classes=5), 32) == []


@pytest.mark.parametrize(
    ("build", "side", "larger", "cells"),
    [
        (lambda: TV.resnet18(num_classes=5), 32, 128, 4),
        (lambda: TV.squeezenet1_1(num_classes=5), 64, 128, 7),  # 128 -> 63 -> 31 -> 15 -> 7, without padding
        (lambda: TV.squeezenet1_1(num_classes=5), 32, 96, 5),  # 64 -> 31 -> 15 -> 7 -> 3; 96 -> 47 -> 23 -> 11 -> 5
        # 33 -> 16 -> 7 -> 3; 66 -> 32 -> 15 -> 7
        (lambda: nn.Sequential(*(nn.Conv2d(3, 3, 3, stride=2) for _ in range(3))), 33, 66, 7),
    ],
)
def test_the_smallest_factor_that_makes_the_map_large_enough_is_suggested(
    build: Callable[[], nn.Module], side: int, larger: int, cells: int
) -> None:
    model = build()
    (text,) = suggestions_with("UpscalePolicy", model, side)
    assert text.startswith(f"resizenet.transforms.UpscalePolicy({larger}): a {cells}x{cells} last map, ")
    (last, macs), (size, times) = extent(model, larger), promised(text)
    assert last == size
    assert macs / extent(model, side)[1] == pytest.approx(times, abs=0.051)


@pytest.mark.parametrize(
    ("resizer", "side"), [(rn.FixedResizer(64), 32), (rn.Resizer(32), 64), (rn.LinearResizer(32), 64)]
)
def test_upscaling_is_not_suggested_before_a_resizer(resizer: nn.Module, side: int) -> None:
    assert suggestions_with("Upscale", resizer.wrap(TV.resnet18(num_classes=5)), side) == []


def test_only_upscaling_is_suggested_for_patches_with_an_odd_side() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    (text,) = rn.report(model, 9).suggestions
    assert text.startswith("resizenet.transforms.UpscalePolicy(")


def test_an_upscaling_that_the_model_refuses_is_not_suggested() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(), nn.Linear(4 * 2 * 2, 5))
    assert rn.report(model, 16).suggestions == ()


class RefusesLargeImages(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] > 16:
            raise self.error
        return super().forward(x)


@pytest.mark.parametrize("error", [ValueError("too large"), TypeError("too large"), KeyError("too large")])
def test_a_model_that_refuses_larger_images_with_any_error_has_a_report(error: Exception) -> None:
    model = RefusesLargeImages(nn.Conv2d(3, 4, 9, 9))  # the side of its patches cannot be halved
    model.error = error
    assert rn.report(model, 16).suggestions == ()


# --- dilation


def test_dilation_is_suggested_for_resnets_of_torchvision_with_bottlenecks() -> None:
    with torch.device("meta"):
        model, basic = TV.resnet50(), TV.resnet18()
    assert suggestions_with("replace_stride_with_dilation=[False, True, True]", model, 32)
    assert suggestions_with("replace_stride_with_dilation=[False, False, True]", model, 64)
    assert suggestions_with("dilation", basic, 32) == []
    found = rn.report(TV.resnet50(replace_stride_with_dilation=[False, True, True]), 32)
    assert (found.output_stride, found.final.output_map, found.suggestions) == ((8, 8), (4, 4), ())


@pytest.mark.parametrize(
    "name", ["dla34", "ese_vovnet19b_dw", pytest.param("ghostnet_100", marks=pytest.mark.slow), "vgg11"]
)
def test_an_output_stride_that_timm_refuses_is_not_suggested(name: str) -> None:
    with pytest.raises(AssertionError):
        timm.create_model(name, output_stride=16)
    with torch.device("meta"):
        model = timm.create_model(name)
    assert suggestions_with("output_stride", model, 64) == []


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet18", "efficientnet_b0", "convnext_atto")),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("gernet_s", "cspresnet50", "nfnet_f0", "regnety_004")
        ),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnetv2_50", "rexnet_100", "xception41")),
    ],
)
def test_an_output_stride_that_timm_takes_has_the_promised_effect(name: str) -> None:
    (text,) = suggestions_with("output_stride", timm.create_model(name), 64)
    assert text == "output_stride=16 when the model is made: dilated kernels, a last map of about 4x4"
    made, model = timm.create_model(name, output_stride=16), timm.create_model(name)
    assert made.eval().forward_features(torch.rand(1, 3, 64, 64)).shape[2:] == (4, 4)
    assert [p.shape for p in made.parameters()] == [p.shape for p in model.parameters()]


# --- when they are computed


def test_a_report_traces_once_and_its_suggestions_are_computed_when_first_read(monkeypatch: pytest.MonkeyPatch) -> None:
    traces = []
    real = _trace.LayoutTracer
    monkeypatch.setattr(_trace, "LayoutTracer", lambda *args: traces.append(1) or real(*args))
    found = rn.report(TV.resnet18(num_classes=10), 32)
    assert all((found.rows, found.warnings, found.final, found.macs))
    assert len(traces) == 1
    assert found.suggestions is found.suggestions
    assert str(found)
    assert len(traces) == 5  # the plan: before and after; one larger image, one image of odd sides
    assert rn.report(TV.resnet18(num_classes=10), 128).suggestions == ()
    assert len(traces) == 7


def test_suggestions_are_for_the_model_as_it_was_reported() -> None:
    model = TV.resnet18(num_classes=10)
    found, expected = rn.report(model, 32), rn.report(model, 32).suggestions
    rn.adapt(model, 32, num_classes=5, inplace=True)
    assert found.suggestions == expected


def test_a_pickled_report_keeps_its_suggestions_and_not_the_model() -> None:
    found = rn.report(TV.resnet18(num_classes=10), 32)
    copied = pickle.loads(pickle.dumps(found))
    assert copied == found
    assert copied.suggestions == found.suggestions != ()
    assert b"torchvision" not in pickle.dumps(found)
    assert copy.deepcopy(found).to_dict() == found.to_dict()


def test_suggestions_draw_no_random_numbers() -> None:
    model = timm.create_model("test_resnet")
    state = torch.get_rng_state()
    assert rn.report(model, 32).suggestions
    assert torch.equal(torch.get_rng_state(), state)
