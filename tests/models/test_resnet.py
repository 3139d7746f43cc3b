"""The ResNet class: any size, every map, stems, features, dilation, classifier, and its errors."""

import math
import re
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import find, given, settings
from torch import nn
from torch.nn import functional as F

from resizenet import ArgumentError, DtypeError, ShapeError, UnknownNameError, UnsupportedModelError, adapt, models
from resizenet.models import (
    BasicBlock,
    CifarStem,
    FeatureExtractor,
    ImageNetStem,
    NoPoolStem,
    PreActBlock,
    ResNet,
    SpaceToDepthStem,
    Stem,
    resnet9,
    resnet18,
    resnet20,
)
from strategies import Network, networks

BLOCKS = ["BasicBlock", "Bottleneck", "PreActBlock", "PreActBottleneck", "WideBlock"]
every_block = pytest.mark.parametrize("block", [getattr(models, name) for name in BLOCKS])
STRIDES = "the strides of the stem and the stages"


def build(network: Network) -> ResNet:
    return ResNet(
        getattr(models, network.block),
        network.depths,
        network.widths,
        stem=network.stem,
        in_channels=network.in_channels,
        num_classes=network.num_classes,
        shortcut=network.shortcut,
        downsample=network.downsample,
        se_reduction=network.se_reduction,
    ).eval()


def images(network: Network) -> torch.Tensor:
    return torch.rand(network.batch, network.in_channels, *network.size)


def small(**kwargs: Any) -> ResNet:
    return ResNet(kwargs.pop("block", BasicBlock), (1, 1, 1), (4, 8, 12), **kwargs)


@settings(max_examples=30)
@given(networks())
def test_network_keeps_the_batch_and_divides_the_sides_by_its_stride(network: Network) -> None:
    model = build(network)
    features = model.forward_features(images(network))
    sides = tuple(math.ceil(side / network.stride) for side in network.size)
    assert features.shape == (network.batch, network.widths[-1], *sides)
    assert model.output_stride == network.stride
    assert model.forward_head(features).shape == (network.batch, network.num_classes)


@settings(max_examples=15)
@given(networks())
def test_pooling_weights_every_position_equally(network: Network) -> None:
    model = build(network)
    features = model.forward_features(images(network)).detach().requires_grad_()
    model.forward_head(features).sum().backward()
    assert features.grad is not None
    cells = features.shape[2] * features.shape[3]
    share = model.fc.weight.detach().sum(0)[None, :, None, None].expand_as(features) / cells
    torch.testing.assert_close(features.grad, share)


@settings(max_examples=15)
@given(networks())
def test_images_of_a_batch_are_independent(network: Network) -> None:
    model, x = build(network), images(network)
    alone = torch.cat([model(image) for image in x.split(1)])
    torch.testing.assert_close(model(x), alone, rtol=1e-3, atol=1e-4)


@settings(max_examples=15)
@given(networks())
def test_intermediates_come_with_their_strides_and_channels(network: Network) -> None:
    model, x = build(network), images(network)
    last, maps = model.forward_intermediates(x)
    first = network.stride // 2 ** (len(network.depths) - 1)
    strides = (first, *(first * 2**stage for stage in range(len(network.depths))))
    channels = (network.widths[0], *network.widths)
    assert (model.feature_strides, model.feature_channels) == (strides, channels)
    expected = [
        (network.batch, c, *(math.ceil(side / s) for side in network.size))
        for c, s in zip(channels, strides, strict=True)
    ]
    assert [tuple(m.shape) for m in maps] == expected
    assert torch.equal(last, maps[-1])
    torch.testing.assert_close(last, model.forward_features(x))


REGIONS: dict[str, Callable[[Network], bool]] = {
    "not square": lambda n: n.size[0] != n.size[1],
    "smaller than its stride": lambda n: min(n.size) < n.stride,
    "no multiple of its stride": lambda n: n.stride > 1 and n.size[0] % n.stride != 0,
    "option A that adds an odd number of channels": lambda n: (
        n.shortcut != "projection" and len(n.widths) > 1 and (n.widths[1] - n.widths[0]) % 2 == 1
    ),
    "pre-activation after the large stem": lambda n: n.block == "PreActBottleneck" and n.stem == "imagenet",
    "one pixel left": lambda n: max(n.size) <= n.stride,
}


@pytest.mark.parametrize("region", REGIONS)
def test_networks_reach_the_region(region: str) -> None:
    budget = settings(max_examples=1000, deadline=None, database=None)
    assert REGIONS[region](find(networks(), REGIONS[region], settings=budget, random=Random(0)))


# Faults that other implementations ship


@pytest.mark.parametrize("size", [24, 40, 48, 56, 64])
def test_pooling_takes_every_size_and_ignores_no_position(size: int) -> None:
    model = resnet20().eval()
    x = torch.rand(3, 3, size, size)
    assert model(x).shape == (3, 10)  # a flatten made for 32 px turns three images of 64 px into twelve
    features = model.forward_features(x)
    assert features.shape[2:] == (size // 4, size // 4)
    changed = features.clone()
    changed[..., -1, -1] += 1
    assert (model.forward_head(changed) - model.forward_head(features)).abs().amin() > 0


def test_small_stem_keeps_the_size() -> None:
    assert CifarStem(3, 8)(torch.rand(1, 3, 32, 32)).shape[2:] == (32, 32)  # a swap with padding 2 makes 34x34


@pytest.mark.parametrize("stem", ["cifar", "no_pool", "imagenet", "space_to_depth"])
@every_block
def test_every_convolution_is_initialized_by_its_fan_out(stem: str, block: Any) -> None:
    for name, module in ResNet(block, (1, 1), (64, 128), stem=stem).named_modules():
        if isinstance(module, nn.Conv2d):
            expected = math.sqrt(2 / (module.out_channels * module.kernel_size[0] * module.kernel_size[1]))
            assert module.weight.std().item() == pytest.approx(expected, rel=0.1), name
            assert module.bias is None


def test_single_position_in_train_mode_raises_and_says_what_to_do() -> None:
    model = resnet18(stem="imagenet").train()
    with pytest.raises(
        ShapeError, match=r"one image of 32x32 is too small for a stride of 32 .* BatchNorm2d .*; use more"
    ):
        model(torch.rand(1, 3, 32, 32))
    assert model(torch.rand(1, 3, 32, 33)).shape == (1, 10)
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert model.eval()(torch.rand(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize("training", [True, False])
def test_single_position_with_one_channel_per_group_raises_in_both_modes(training: bool) -> None:
    def norm(channels: int) -> nn.GroupNorm:
        return nn.GroupNorm(channels, channels)

    model = small(norm=norm).train(training)
    stride = model.output_stride
    with pytest.raises(ShapeError, match=rf"is too small for a stride of {stride}: its last map .* GroupNorm has no"):
        model(torch.rand(1, 3, stride, stride))
    assert model(torch.rand(1, 3, stride, stride + 1)).shape == (1, 10)
    assert model(torch.rand(2, 3, stride, stride)).shape == (2, 10)


def test_single_position_trains_without_batch_statistics() -> None:
    x = torch.rand(1, 3, 4, 4)
    assert small(norm=partial(nn.GroupNorm, 1)).train()(x).shape == (1, 10)
    frozen = small().train()
    for module in frozen.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    assert frozen(x).shape == (1, 10)


# Stems


@pytest.mark.parametrize(
    ("stem", "stride", "field"),
    [(CifarStem, 1, 3), (NoPoolStem, 2, 7), (ImageNetStem, 4, 11), (SpaceToDepthStem, 4, 12)],
)
def test_stem_states_its_stride_and_receptive_field(stem: type[Stem], stride: int, field: int) -> None:
    layer = stem(2, 3).eval()
    assert (layer.stride, layer.receptive_field) == (stride, field)
    assert layer(torch.rand(1, 2, 37, 22)).shape == (1, 3, math.ceil(37 / stride), math.ceil(22 / stride))
    layer.norm = layer.act = nn.Identity()  # an activation could hide a change
    x, middle = torch.rand(1, 2, 48, 48), 24 // stride
    expected = layer(x)[..., middle, :]
    seen = 0
    for row in range(48):
        changed = x.clone()
        changed[:, :, row] += 100 * torch.randn(2, 48)
        seen += not torch.equal(layer(changed)[..., middle, :], expected)
    assert seen == field


def test_stem_states_its_stride_and_field_after_adapt() -> None:
    model = adapt(small(stem="imagenet"), 32, stem="cifar")
    assert isinstance(model, ResNet)
    assert (model.stem.stride, model.stem.receptive_field, model.output_stride) == (1, 3, 4)
    assert model.forward_features(torch.rand(1, 3, 32, 32)).shape[2:] == (8, 8)


def test_adapt_refuses_a_stem_whose_convolution_does_not_see_the_image() -> None:
    with pytest.raises(UnsupportedModelError, match=r"image's 3 channels, and ResNet.stem.projection is Conv2d"):
        adapt(small(stem="space_to_depth"), 32, stem="cifar")


def test_space_to_depth_moves_blocks_of_pixels_into_channels() -> None:
    x = np.arange(2 * 3 * 6 * 9, dtype=np.float32).reshape(2, 3, 6, 9)
    padded = np.pad(x, ((0, 0), (0, 0), (0, 2), (0, 3)))
    expected = np.stack([padded[:, c, y::4, z::4] for c in range(3) for y in range(4) for z in range(4)], 1)
    stem = SpaceToDepthStem(3, 8, activate=False)
    folded = F.conv2d(torch.from_numpy(expected), stem.projection.weight, padding=1)
    torch.testing.assert_close(stem(torch.from_numpy(x)), folded)


def test_stem_may_be_a_class_and_an_unknown_name_has_a_hint() -> None:
    assert isinstance(small(stem=NoPoolStem).stem, NoPoolStem)
    with pytest.raises(UnknownNameError, match=r"stem: expected one of .*, got 'cifa'; did you mean 'cifar'"):
        small(stem="cifa")


# Pre-activation


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_preactivation_net_begins_without_norm_and_ends_with_norm_and_activation(stem: str) -> None:
    model = small(block=PreActBlock, stem=stem).double().train()
    assert [name for name, _ in model.stem.named_children()] == ["conv", "pool"][: 2 if stem == "imagenet" else 1]
    x = torch.rand(4, 3, 32, 40, dtype=torch.float64)
    raw = model.stages(model.stem(x))
    mean, var = raw.mean((0, 2, 3), keepdim=True), raw.var((0, 2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(model.forward_features(x), ((raw - mean) / (var + 1e-5).sqrt()).clamp(min=0))
    assert small(block=partial(PreActBlock, shortcut="pad")).norm[0].num_features == 12
    assert isinstance(small().norm, nn.Identity)


# Dilation


@every_block
@pytest.mark.parametrize("output_stride", [1, 2])
def test_dilated_net_agrees_with_the_strided_one_at_its_positions(block: Any, output_stride: int) -> None:
    strided = ResNet(block, (2, 2, 2), (4, 8, 8)).double().eval()
    dilated = ResNet(block, (2, 2, 2), (4, 8, 8), output_stride=output_stride).double().eval()
    dilated.load_state_dict(strided.state_dict())
    assert dilated.feature_strides == (1, 1, min(2, output_stride), output_stride)
    x = torch.rand(2, 3, 21, 30, dtype=torch.float64)
    features = dilated.forward_features(x)
    assert features.shape[2:] == (math.ceil(21 / output_stride), math.ceil(30 / output_stride))
    step = 4 // output_stride
    torch.testing.assert_close(features[:, :, ::step, ::step], strided.forward_features(x))


# Features and classifier


@every_block
def test_extractor_returns_the_stages_and_keeps_no_unused_layer(block: Any) -> None:
    model = small(block=block).eval()
    extract = FeatureExtractor(model, indices=(0, 2)).eval()
    x = torch.rand(2, 3, 17, 26)
    maps = extract(x)
    assert (extract.channels, extract.strides) == ((4, 8), (1, 2))
    for found, expected in zip(maps, model.forward_intermediates(x, indices=(0, 2))[1], strict=True):
        torch.testing.assert_close(found, expected)
    sum(m.sum() for m in maps).backward()
    assert all(p.grad is not None for p in extract.parameters())  # DistributedDataParallel refuses unused ones
    assert extract.state_dict().keys() < model.state_dict().keys()


@every_block
def test_last_map_of_the_extractor_equals_the_network_s(block: Any) -> None:
    model = small(block=block, output_stride=2).eval()
    extract = FeatureExtractor(model)
    x = torch.rand(1, 3, 16, 24)
    assert (extract.indices, extract.channels, extract.strides) == ((1, 2, 3), (4, 8, 12), (1, 2, 2))
    torch.testing.assert_close(extract(x)[-1], model.forward_features(x))
    assert FeatureExtractor(model, indices=[-1]).indices == (3,)


@pytest.mark.parametrize("indices", [(), (4,), (-5,), (2, 1), (1, 1), 2, "12", (0.5, 1), ("a",)])
def test_indices_that_do_not_fit_are_named(indices: Any) -> None:
    expected = re.escape(f"indices: expected increasing ints from 0 (the stem) to 3 (the last stage), got {indices!r}")
    with pytest.raises(ArgumentError, match=expected):
        FeatureExtractor(small(), indices=indices)
    with pytest.raises(ArgumentError, match=expected):
        small().forward_intermediates(torch.rand(2, 3, 8, 8), indices=indices)


def test_extractor_refuses_other_models() -> None:
    with pytest.raises(
        UnsupportedModelError, match=r"FeatureExtractor: expected a resizenet.models.ResNet, got Linear"
    ):
        FeatureExtractor(nn.Linear(3, 3))  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [small, resnet9])
def test_classifier_is_replaced_where_the_weights_are(make: Any) -> None:
    model = make().double()
    old = model.get_classifier()
    model.reset_classifier(7)
    assert model.get_classifier() is model.fc is not old
    assert (model.num_classes, model.fc.weight.dtype) == (7, torch.float64)
    assert model.fc.weight.shape == (7, model.num_features)
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    assert model(x).shape == (2, 7)
    model.reset_classifier(0)
    assert isinstance(model.get_classifier(), nn.Identity)
    assert model(x).shape == (2, model.num_features)
    with torch.device("meta"):
        on_meta = make()
    on_meta.reset_classifier(3)
    assert on_meta.fc.weight.is_meta


def test_resnet9_pools_by_maximum_and_scales_by_an_eighth() -> None:
    model = resnet9().eval()
    x = torch.rand(2, 3, 32, 32)
    features = model.forward_features(x)
    assert features.shape == (2, 512, 4, 4)
    torch.testing.assert_close(model(x), features.amax((2, 3)) @ model.fc.weight.T / 8)
    first, residual = model.stages[0]
    y = torch.rand(1, 128, 5, 7)
    torch.testing.assert_close(residual(y), y + residual.branch(y))
    assert [type(m).__name__ for m in first] == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    assert [len(stage) for stage in model.stages] == [2, 1, 2]


def test_stochastic_depth_grows_with_depth() -> None:
    model = ResNet(BasicBlock, (2, 1, 1), (4, 8, 8), stochastic_depth=0.4)
    assert [block.drop.p for stage in model.stages for block in stage] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert all(isinstance(block.drop, nn.Identity) for stage in small().stages for block in stage)


def test_norm_and_activation_reach_every_layer() -> None:
    for block in (BasicBlock, PreActBlock):
        kinds = {type(m) for m in small(block=block, norm=partial(nn.GroupNorm, 1), act=nn.SiLU).modules()}
        assert not {nn.BatchNorm2d, nn.ReLU} & kinds


# Errors

PER_STAGE = "one int per stage, for example (1, 2, 2)"
BAD: list[tuple[str, Any, str]] = [
    ("depths", (1, 0, 1), "a positive int, got 0"),
    ("depths", 3, f"{PER_STAGE}, got 3"),
    ("widths", (4, 8.0, 12), "a positive int, got 8.0"),
    ("widths", "wide", f"{PER_STAGE}, got 'wide'"),
    ("strides", (1, 2, -2), "a positive int, got -2"),
    ("strides", 2, f"{PER_STAGE}, got 2"),
    ("in_channels", 0, "a positive int, got 0"),
    ("stem_width", 0, "a positive int, got 0"),
    ("num_classes", -1, "a non-negative int, got -1"),
    ("num_classes", "ten", "a non-negative int, got 'ten'"),
    ("stochastic_depth", 1.5, "a number at least 0 and below 1, got 1.5"),
    ("stochastic_depth", "half", "a number at least 0 and below 1, got 'half'"),
    ("stochastic_depth", None, "a number at least 0 and below 1, got None"),
    ("block", "BasicBlock", "a class or a function that makes a module, got 'BasicBlock'"),
    ("norm", None, "a class or a function that makes a module, got None"),
    *(("output_stride", value, f"one of [1, 2, 4], {STRIDES}, got {value}") for value in (0, 3, 16, 2.0, True)),
]


@pytest.mark.parametrize(("argument", "value", "expected"), BAD)
def test_bad_argument_is_named(argument: str, value: Any, expected: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(f"{argument}: expected {expected}")):
        ResNet(**{"block": BasicBlock, "depths": (1, 1, 1), "widths": (4, 8, 12), argument: value})


@pytest.mark.parametrize("depths", [(1, 1), ()])
def test_every_stage_needs_a_depth_a_width_and_a_stride(depths: tuple[int, ...]) -> None:
    expected = f"depths, widths, strides: expected one number per stage in each, got {depths}, (4, 8, 12), (1"
    with pytest.raises(ArgumentError, match=re.escape(expected)):
        ResNet(BasicBlock, depths, (4, 8, 12))


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (3, 8, 8), (2, 3, 0, 8)])
def test_image_that_does_not_fit_is_named(shape: tuple[int, ...]) -> None:
    for call in (small(), small().forward_features, small().forward_intermediates, FeatureExtractor(small())):
        with pytest.raises(
            ShapeError, match=rf"(ResNet|FeatureExtractor): expected \(B, 3, H, W\), got \({shape[0]}, {shape[1]}, "
        ):
            call(torch.rand(shape))


def test_integer_image_has_a_hint_to_scale_it() -> None:
    with pytest.raises(DtypeError, match=r"ResNet: expected a floating point image, got torch.uint8; scale it first"):
        small()(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize("image", [np.zeros((2, 3, 8, 8), np.float32), [[1.0]], None], ids=["array", "list", "None"])
def test_image_that_is_no_tensor_is_named(image: Any) -> None:
    for model in (small(), FeatureExtractor(small())):
        expected = rf"{type(model).__name__}: expected a dense tensor \(B, 3, H, W\), got {type(image).__name__}"
        with pytest.raises(DtypeError, match=expected):
            model(image)
