"""Test plans on many families: which strides go, that the maps come out, and what is refused with which reason."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn
from resizenet.surgery import Adaptation, plan

TV = torchvision.models


def without_values(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return make()


def planned(model: nn.Module, side: int, **options: object) -> dict[str, dict[str, tuple[object, object]]]:
    """Return (before, after) of every change, by path and by what changes."""
    found: dict[str, dict[str, tuple[object, object]]] = {}
    for change in plan(model, side, **options).changes:
        found.setdefault(change.path, {})[change.what] = (change.before, change.after)
    return found


UNINITIALIZED = {"googlenet", "inception_v3"}  # torchvision warns of the time that initialization takes
SLOWER = {"stride": (2, 1)}
NO_POOL = {"type": ("MaxPool2d", "Identity")}
SMALL = {"kernel": (7, 3), "stride": (2, 1), "padding": (3, 1)}
# What people do by hand at 32 px, and at 64 px one halving less: the changed layers, the last map at 32 and 64 px.
PRACTICE = {
    "vgg11": ({"features.2": NO_POOL, "features.5": NO_POOL}, {"features.2": NO_POOL}, 4, 4),
    "googlenet": ({"conv1.conv": SMALL, "maxpool1": NO_POOL}, {"maxpool1": NO_POOL}, 4, 4),
    "shufflenet_v2_x0_5": ({"conv1.0": SLOWER, "maxpool": NO_POOL}, {"maxpool": NO_POOL}, 4, 4),
    "mobilenet_v2": ({"features.0.0": SLOWER, "features.2.conv.1.0": SLOWER}, {"features.0.0": SLOWER}, 4, 4),
    "densenet121": ({"features.conv0": SMALL, "features.pool0": NO_POOL}, {"features.pool0": NO_POOL}, 4, 4),
    "resnet18": ({"conv1": SMALL, "maxpool": NO_POOL}, {"maxpool": NO_POOL}, 4, 4),
    # layers without padding lose positions, so a further stride goes at 32 px
    "alexnet": (
        {"features.0": {"kernel": (11, 3), "stride": (4, 1), "padding": (2, 1)}, "features.2": NO_POOL},
        {"features.2": NO_POOL},
        7,
        3,
    ),
    "inception_v3": (
        {"Conv2d_1a_3x3.conv": SLOWER, "maxpool1": NO_POOL, "maxpool2": NO_POOL},
        {"Conv2d_1a_3x3.conv": SLOWER, "maxpool1": NO_POOL},
        5,
        6,
    ),
    "squeezenet1_1": ({"features.2": NO_POOL}, {}, 3, 3),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if "cept" in name or "dense" in name else name for name in PRACTICE],
)
def test_plans_agree_with_known_practice(name: str) -> None:
    model = without_values(lambda: TV.get_model(name, **({"init_weights": False} if name in UNINITIALIZED else {})))
    at_32, at_64, map_at_32, map_at_64 = PRACTICE[name]
    assert planned(model, 32) == at_32
    assert planned(model, 64) == at_64
    for side, positions in ((32, map_at_32), (64, map_at_64)):
        made = plan(model, side)
        assert made.last_map[1] == (positions, positions)
        found = rn.report(made.apply(model), side)
        assert (found.macs, found.final.output_map) == (made.macs[1], made.last_map[1])


def test_regnets_lose_the_strides_of_the_stem_and_of_the_first_stage() -> None:
    block = "trunk_output.block1.block1-0"
    expected = {"stem.0": SLOWER, f"{block}.proj.0": SLOWER, f"{block}.f.b.0": SLOWER}
    assert planned(TV.regnet_x_400mf(), 32) == expected


# --- parallel branches


class Branches(nn.Module):
    """A strided convolution beside poolings, as in Inception, ShuffleNet and ResNet-D."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, stride=2, padding=1)
        self.odd, self.even = nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2, 2)
        self.head = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.conv(x) + self.odd(x) + self.even(x)).mean((2, 3)))


def test_poolings_beside_a_convolution_keep_the_size_of_its_map() -> None:
    model = Branches()
    small = plan(model, 16, output_stride=1).apply(model)
    assert (small.conv.stride, small.odd.stride) == ((1, 1), 1)
    assert isinstance(small.even, nn.Identity)
    assert small.conv(torch.rand(1, 3, 16, 16)).shape == small.odd(torch.rand(1, 3, 16, 16)).shape == (1, 3, 16, 16)
    assert small(torch.rand(2, 3, 16, 16)).shape == (2, 5)


# --- the record of a plan


def test_a_plan_prints_what_it_changes_and_what_that_does() -> None:
    model = TV.shufflenet_v2_x0_5(num_classes=10)
    made = plan(model, 32, in_channels=1, num_classes=7)
    assert str(made).splitlines() == [
        "ShuffleNetV2 at 32x32",
        "output stride 32 -> 8, last map 1x1 -> 4x4",
        "MACs 815.4 k -> 10.5 M, parameters 352.0 k -> 348.5 k",
        "conv1.0: stride 2 -> 1, channels 3 -> 1 (sum)",
        "maxpool: MaxPool2d -> Identity",
        "fc: classes 10 -> 7",
    ]
    assert str(plan(model, 128)).splitlines()[3:] == ["no changes"]


def test_a_plan_is_a_plain_value() -> None:
    made = plan(without_values(lambda: TV.resnet18()), 32)
    assert isinstance(made, Adaptation)
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(made) == hash(copy.deepcopy(made))
    assert json.loads(json.dumps(made.to_dict()))["changes"][0] == {
        "path": "conv1",
        "what": "kernel",
        "before": 7,
        "after": 3,
        "how": "area",
    }
    assert made.strides == ((2, 1), (4, 1), (8, 2), (16, 4), (32, 8))


def test_a_plan_changes_nothing_before_it_is_applied_and_draws_no_random_numbers() -> None:
    model = TV.shufflenet_v2_x0_5()
    before, text, state = copy.deepcopy(model.state_dict()), str(model), torch.get_rng_state()
    made = plan(model, 32, num_classes=7, stem_weights="fresh")
    assert str(model) == text
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert made.apply(model, inplace=True) is model
    assert model.fc.out_features == 7


def test_a_plan_fits_only_models_that_are_built_in_the_same_way() -> None:
    made = plan(TV.resnet18(num_classes=5), 32)
    assert isinstance(made.apply(TV.resnet34(num_classes=3)).maxpool, nn.Identity)
    other = TV.resnet18()
    other.conv1.stride = (4, 4)
    message = r"^adapt: the plan was made for another model: expected ResNet\.conv1 with stride 2, got 4$"
    with pytest.raises(rn.UnsupportedModelError, match=message):
        made.apply(other, inplace=True)
    assert other.conv1.kernel_size == (7, 7)
    with pytest.raises(rn.UnsupportedModelError, match="made for another model"):
        made.apply(TV.vgg11())


# --- output strides


@pytest.mark.parametrize(("stride", "size"), [(32, 1), (16, 2), (8, 4), (4, 8), (2, 16), (1, 32)])
def test_output_strides_by_number(stride: int, size: int) -> None:
    model = without_values(lambda: TV.mobilenet_v3_small())
    made = plan(model, 32, output_stride=stride)
    assert (made.output_stride, made.last_map[1]) == ((32, stride), (size, size))


def test_an_output_stride_that_cannot_be_reached_is_refused() -> None:
    model = without_values(lambda: TV.resnet18())
    assert plan(model, 32, output_stride=4, stem="keep").last_map[1] == (8, 8)
    for wanted, stem, nearest in ((64, "auto", 32), (3, "auto", 2), (2, "keep", 4)):
        message = (
            rf'^output_stride: expected a stride that ResNet can have with stem="{stem}" \(its own is 32, and the '
            rf"nearest one is {nearest}\), got {wanted}$"
        )
        with pytest.raises(rn.ArgumentError, match=message):
            plan(model, 32, output_stride=wanted, stem=stem)


@pytest.mark.parametrize("stem", ["no_pool", "cifar", "fold"])
def test_a_stem_that_a_model_cannot_have_is_refused(stem: str) -> None:
    model = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 5))
    with pytest.raises(
        rn.UnsupportedModelError, match=rf'^adapt: stem="{stem}" needs a model with a convolution in fr'
    ):
        plan(model, 32, stem=stem)


def test_no_pool_is_refused_without_a_pool() -> None:
    message = r'^adapt: stem="no_pool" needs a model with a pool behind its first convolution, and MobileNetV2 has none'
    with pytest.raises(rn.UnsupportedModelError, match=message):
        plan(without_values(lambda: TV.mobilenet_v2()), 64, stem="no_pool")


# --- refusals


class Functional(nn.Module):
    """A strided convolution, and a pooling that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rest = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 4, 1)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rest(F.max_pool2d(self.conv(x), 2)).mean((2, 3)))


class Shared(Functional):
    """One pooling module, called at two strides."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rest(self.pool(self.pool(self.conv(x)))).mean((2, 3)))


class Flat(Functional):
    """A classifier for maps of one size."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rest(self.conv(x)).flatten(1))


class OwnStride(nn.Conv2d):
    """A convolution whose stride is not the one of its attribute."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, 2, 1)


def own_stride() -> nn.Module:
    model = Flat()
    model.conv = OwnStride(3, 4, 3, 2, 1)
    model.forward = None
    return nn.Sequential(model.conv, nn.Conv2d(4, 4, 3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))


REFUSED = {
    "functional": (
        Functional,
        32,
        r"the forward of Functional calls a function that shrinks the map, from stride 2 to 4",
    ),
    "shared": (Shared, 32, r"Shared\.pool is called at several strides, from stride 2 to 4"),
    "flat": (Flat, 8, r"Flat cannot take an image of \(3, 8, 8\): .*\(changes that were tried: conv: stride 2 -> 1.*"),
    "own stride": (
        own_stride,
        32,
        r"the output stride of Sequential is 8 instead of 4 \(changes that were tried: 0: st",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_stands_in_the_way_is_said(name: str) -> None:
    build, side, reason = REFUSED[name]
    stride = {"functional": 8, "shared": 8, "flat": 4, "own stride": 4}[name]
    with pytest.raises(rn.UnsupportedModelError, match=rf"^adapt: {reason}.*; .*for example with UpscalePolicy or Res"):
        plan(build(), side, output_stride=stride)


def test_a_classifier_that_is_missing_cannot_get_another_size() -> None:
    for model in (timm.create_model("mobilenetv3_small_050", num_classes=0), nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1))):
        assert plan(model, 32).last_map[1] >= (4, 4)
        with pytest.raises(
            rn.UnsupportedModelError, match=r"^adapt: expected the last layer of .* to be a Linear or a 1x1"
        ):
            plan(model, 32, num_classes=7)


# --- classifiers


def test_auxiliary_and_parallel_classifiers_get_the_same_size() -> None:
    model = TV.GoogLeNet(num_classes=5, aux_logits=True, init_weights=False)
    small = rn.adapt(model, 32, num_classes=7)
    assert [small.fc.out_features, small.aux1.fc2.out_features, small.aux2.fc2.out_features] == [7, 7, 7]
    assert [change.path for change in plan(model, 32, num_classes=7).changes if change.what == "classes"] == [
        "fc",
        "aux1.fc2",
        "aux2.fc2",
    ]
    distilled = timm.create_model("deit_tiny_distilled_patch16_224", depth=1, num_classes=5)
    heads = [change.path for change in plan(distilled, 224, num_classes=7).changes]
    assert heads == ["head", "head_dist"]


def test_a_classifier_that_is_a_1x1_convolution() -> None:
    model = TV.squeezenet1_1(num_classes=5)
    small = rn.adapt(model, 32, num_classes=7, in_channels=4)
    assert small.classifier[1].out_channels == small.num_classes == 7
    assert small(torch.rand(2, 4, 32, 32)).shape == (2, 7)


# --- patches


def convnext() -> nn.Module:
    return timm.models.convnext.ConvNeXt(depths=(1, 1, 1, 1), dims=(8, 16, 24, 32), num_classes=5)


def test_patches_get_the_size_of_their_new_stride() -> None:
    model = convnext()
    assert planned(model, 64) == {"stem.0": {"kernel": (4, 2), "stride": (4, 2)}}
    assert planned(model, 32) == {"stem.0": {"kernel": (4, 3), "stride": (4, 1), "padding": (0, 1)}}
    last = {"kernel": (2, 1), "stride": (2, 1)}
    assert planned(model, 32, output_stride=16, stem="keep") == {"stages.1.downsample.1": last}
    for side, options in ((64, {}), (32, {}), (32, {"output_stride": 16, "stem": "keep"})):
        adapted = rn.adapt(model, side, num_classes=7, **options)
        adapted(torch.rand(2, 3, side, side)).sum().backward()
        assert all(parameter.grad is not None for parameter in adapted.parameters())
    expected = rn.functional.resize_filter(model.stem[0].weight, 2, method="pinv")
    assert torch.equal(rn.adapt(model, 64).stem[0].weight, expected)


@pytest.mark.parametrize(("scale", "side", "kernel"), [(2, 64, 4), (4, 32, 3)])
def test_a_network_of_folded_patches_equals_the_old_one_on_upscaled_images(scale: int, side: int, kernel: int) -> None:
    model, image = convnext().double().eval(), torch.rand(2, 3, side, side + 32, dtype=torch.float64)
    adapted = rn.adapt(model, (side, side + 32), stem="fold")
    conv = adapted.stem[0]
    assert (conv.kernel_size[0], conv.stride[0], conv.padding[0]) == (kernel, 4 // scale, 1)
    assert conv.padding_mode == "replicate"
    upscaled = F.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(adapted(image), model(upscaled), rtol=0, atol=1e-12)


# --- with values

WITH_VALUES: dict[str, Callable[[], nn.Module]] = {
    "mobilenet_v2": lambda: TV.mobilenet_v2(num_classes=5),
    "mobilenet_v3": lambda: TV.mobilenet_v3_small(num_classes=5),
    "mnasnet": lambda: TV.mnasnet0_5(num_classes=5),
    "shufflenet": lambda: TV.shufflenet_v2_x0_5(num_classes=5),
    "squeezenet": lambda: TV.squeezenet1_1(num_classes=5),
    "regnet": lambda: timm.create_model("regnety_002", num_classes=5),
    "efficientnet lite": lambda: timm.create_model("test_efficientnet", num_classes=5),
    "mobilenet v4": lambda: timm.create_model("mobilenetv4_conv_small_035", num_classes=5),
    "same padding": lambda: timm.create_model("tf_mobilenetv3_small_minimal_100", num_classes=5),
}


@pytest.mark.parametrize("name", WITH_VALUES)
def test_adapted_models_compute_and_keep_all_other_weights(name: str) -> None:
    model = WITH_VALUES[name]()
    made = plan(model, 32, num_classes=7, in_channels=4)
    small = made.apply(model)
    out = small(torch.rand(2, 4, 32, 32))
    out.sum().backward()
    assert out.shape == (2, 7)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in small.parameters())
    named = {change.path for change in made.changes if change.what in ("kernel", "channels", "classes")}
    before, after = model.state_dict(), small.state_dict()
    assert before.keys() == after.keys()
    differ = {key for key in before if not torch.equal(before[key], after[key]) and "running" not in key}
    assert {key.rpartition(".")[0] for key in differ if "num_batches" not in key} == named
    assert plan(model, 32, num_classes=7, in_channels=4).apply(model).load_state_dict(after)
    assert rn.adapt(model, 32, in_channels=1)(torch.rand(2, 1, 32, 32)).shape == (2, 5)
