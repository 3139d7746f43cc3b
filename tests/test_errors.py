"""Every error: its place in the tree, and a message that says what was expected and what was passed."""

import math
import pickle
import re
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import resizenet as rn
from resizenet import functional, models, transforms
from resizenet._checks import check_choice, check_positive, parse_int, parse_number, parse_range

TREE = {
    "ResizenetError": (Exception,),
    "ArgumentError": (rn.ResizenetError, ValueError),
    "SizeError": (rn.ArgumentError,),
    "UnknownNameError": (rn.ArgumentError,),
    "ShapeError": (rn.ResizenetError, ValueError),
    "DtypeError": (rn.ResizenetError, TypeError),
    "CheckpointError": (rn.ResizenetError, ValueError),
    "UnsupportedModelError": (rn.ResizenetError, TypeError),
}


@pytest.mark.parametrize(("name", "bases"), TREE.items())
def test_errors_form_the_documented_tree(name: str, bases: tuple[type[Exception], ...]) -> None:
    error = getattr(rn, name)
    assert error.__bases__ == bases
    assert error.__doc__


def test_no_error_is_missing_from_the_tree() -> None:
    assert {name for name in rn.__all__ if name.endswith("Error")} == set(TREE)


@pytest.mark.parametrize("name", TREE)
def test_errors_pickle(name: str) -> None:
    error = getattr(rn, name)("size: expected 1, got 0")
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin)) == (type(error), "size: expected 1, got 0")


def test_a_choice_names_the_choices_and_the_closest() -> None:
    with pytest.raises(
        rn.UnknownNameError,
        match=re.escape("norm: expected one of 'batch', 'group', got 'bacth'; did you mean 'batch'?"),
    ):
        check_choice("norm", "bacth", ["batch", "group"])
    with pytest.raises(rn.UnknownNameError, match=re.escape("norm: expected one of 'batch', 'group', got 7") + "$"):
        check_choice("norm", 7, iter(["batch", "group"]))
    check_choice("norm", "group", iter(["batch", "group"]))


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", None])
def test_a_positive_int_is_an_int_and_positive(value: object) -> None:
    with pytest.raises(rn.ArgumentError, match=re.escape(f"channels: expected a positive int, got {value!r}")):
        check_positive("channels", value)
    check_positive("channels", 1)


@pytest.mark.parametrize("value", [-1, 5, 10**400, 1.0, math.nan, True, "1", None, (1,)])
def test_an_int_in_a_range_is_an_int_and_in_the_range(value: object) -> None:
    with pytest.raises(rn.ArgumentError, match=re.escape(f"epoch: expected an int from 0 to 4, got {value!r}")):
        parse_int("epoch", value, at_least=0, at_most=4)
    assert parse_int("epoch", np.int64(4), at_least=0, at_most=4) == 4


@pytest.mark.parametrize("value", [0, -1, 1.5, 10**400, math.nan, math.inf, True, "1", None, 1j, (1,)])
def test_a_number_in_a_range_is_a_finite_real_number_in_the_range(value: object) -> None:
    with pytest.raises(
        rn.ArgumentError, match=re.escape(f"share: expected a number above 0 and at most 1, got {value!r}")
    ):
        parse_number("share", value, above=0, at_most=1)
    assert parse_number("share", np.float32(0.5), above=0, at_most=1) == 0.5


@pytest.mark.parametrize(
    "values", [(2, 1), (0, 1), (1, math.inf), (1, 10**400), (math.nan, 1), (1,), "12", 1, (1, "2")]
)
def test_a_range_is_two_finite_positive_numbers_in_order(values: object) -> None:
    with pytest.raises(
        rn.ArgumentError,
        match=re.escape(f"scale: expected (low, high) with 0 < low <= high <= 2.14748e+09, got {values!r}"),
    ):
        parse_range("scale", values)
    assert parse_range("scale", [1, np.float32(2)]) == (1.0, 2.0)


IMAGE, ANY = torch.rand(2, 3, 5, 7), nn.Identity()
with warnings.catch_warnings():  # nested tensors are a prototype
    warnings.simplefilter("ignore")
    NESTED = torch.nested.nested_tensor([torch.rand(3, 4, 4), torch.rand(3, 5, 5)])
POLICY = transforms.RandomResizedCropPolicy
SIZE = "expected an int or (height, width)"
RANGE = "expected (low, high) with 0 < low <= high <="
POSITIVE = "expected a positive int up to 2147483647"


def resnet(depths: tuple[int, ...] = (1, 1), **options: object) -> nn.Module:
    return models.ResNet(models.BasicBlock, depths, (4, 8), **options)


VIT = torchvision.models.VisionTransformer(32, 8, 1, 1, 8, 8)
MISTAKES: dict[type[Exception], list[tuple[Callable[[], object], str]]] = {
    rn.SizeError: [
        (lambda: rn.Resizer((5, 0)), f"size: {SIZE}, each at least 1, got (5, 0)"),
        (lambda: rn.LinearResizer(nn.Identity()), f"size: {SIZE} in whole pixels, got Identity()"),
        (lambda: rn.Resizer(nn.Parameter(torch.ones(2))), f"size: {SIZE} in whole pixels, got Parameter containing"),
        (lambda: rn.FixedResizer(5)(IMAGE, (1, 2, 3)), f"size: {SIZE}, got 3 numbers in (1, 2, 3)"),
        (lambda: functional.resize(IMAGE, 2.5), f"size: {SIZE} in whole pixels, got 2.5"),
        (lambda: functional.resize(IMAGE, 2**31), f"size: {SIZE}, each at most 2147483647, got 2147483648"),
        (lambda: functional.resize(IMAGE, 10**9), f"size: {SIZE} of at most {2**57} pixels, got 1000000000"),
        (lambda: rn.report(ANY, -1), f"input_size: {SIZE}, each at least 1, got -1"),
        (lambda: rn.adapt(ANY, "32"), f"input_size: {SIZE} in whole pixels, got '32'"),
        (lambda: POLICY(5, eval_size=0), f"eval_size: {SIZE}, each at least 1, got 0"),
    ],
    rn.UnknownNameError: [
        (
            lambda: rn.FixedResizer(5, interpolation="linear"),
            "interpolation: expected one of 'nearest-exact', 'bilinear', 'bicubic', got 'linear'",
        ),
        (lambda: rn.Resizer(5, norm="layer"), "norm: expected one of 'batch', 'group', 'none', got 'layer'"),
        (lambda: rn.adapt(ANY, 5, stem="nopool"), "got 'nopool'; did you mean 'no_pool'?"),
        (lambda: rn.adapt(ANY, 5, stem_weights="pretrained"), "stem_weights: expected one of"),
        (lambda: rn.adapt(ANY, 5, channel_weights="mean"), "channel_weights: expected one of"),
        (lambda: resnet(stem=3), "stem: expected one of 'cifar'"),
        (lambda: rn.create_model("resnet2"), "name: expected one of "),
        (lambda: transforms.UpscalePolicy(5, interpolation="area"), "interpolation: expected one of"),
        (lambda: transforms.ResizeToCover(5, interpolation="area"), "interpolation: expected one of"),
    ],
    rn.ArgumentError: [
        (lambda: rn.Resizer(5, channels=0), "channels: expected a positive int, got 0"),
        (lambda: rn.Resizer(5, channels=2**63), f"channels: {POSITIVE}, got {2**63}"),
        (lambda: rn.LinearResizer(5, out_channels=2**63), f"out_channels: {POSITIVE}, got {2**63}"),
        (lambda: rn.LinearResizer(5, kernel_size=2**63), f"kernel_size: {POSITIVE}, got {2**63}"),
        (lambda: rn.Resizer(5, num_blocks=2**63), "num_blocks: expected a non-negative int up to 10000, got 922"),
        (lambda: rn.Resizer(5, negative_slope=1e308), "negative_slope: expected a number at least 0 and at most 2.1"),
        (lambda: rn.LaplacianResizer(5, num_layers=2**63), "num_layers: expected a positive int up to 10000, got 922"),
        (lambda: rn.create_model("resnet20", num_classes=2**63), "num_classes: expected a non-negative int up to 214"),
        (lambda: rn.create_model("airnet", in_channels=2**63), f"in_channels: {POSITIVE}, got {2**63}"),
        (lambda: models.BlurPool(2**63, 2), f"channels: {POSITIVE}, got {2**63}"),
        (lambda: models.BasicBlock(3, 2**63), f"out_channels: {POSITIVE}, got {2**63}"),
        (lambda: models.Bottleneck(4, 8, bottleneck_ratio=1e308), "bottleneck_ratio: expected a number above 0 and at"),
        (lambda: resnet(stem_width=2**63), f"stem_width: {POSITIVE}, got {2**63}"),
        (lambda: resnet(depths=(1, 2**63)), "depths: expected a positive int up to 10000, got 922"),
        (lambda: resnet(stem=int), "stem: expected a function of (in_channels, out_channels, *, activate, norm, act)"),
        (lambda: resnet(stem=lambda *args, **options: 3), "stem: expected a function that makes a Stem, got <function"),
        (lambda: resnet(stem=lambda *args, **options: nn.Conv2d(3, 4, 3)), "which makes Conv2d(3, 4, "),
        (lambda: resnet(stride=2), "ResNet: expected no strides or dilations of single blocks, which strides and"),
        (lambda: functional.resize_matrix(5, 3, device=True), "device: expected a device of torch, such as 'cpu', got"),
        (
            lambda: functional.resize_matrix(5, 3, device="gpu"),
            "device: expected a device of torch, such as 'cpu', got",
        ),
        (lambda: rn.Resizer(5, in_channels=0), "in_channels: expected a positive int, got 0"),
        (lambda: rn.LinearResizer(5, out_channels=-1), "out_channels: expected a positive int, got -1"),
        (lambda: rn.Resizer(5, num_blocks=-1), "num_blocks: expected a non-negative int, got -1"),
        (lambda: rn.LinearResizer(5, oversample=0), "oversample: expected a positive int, got 0"),
        (
            lambda: rn.LinearResizer(5, oversample=3, kernel_size=1),
            "kernel_size: expected 3 (oversample) plus an even number, got 1",
        ),
        (
            lambda: rn.LinearResizer(5, kernel_size=5),
            "kernel_size: expected 2 (oversample) plus an even number, got 5",
        ),
        (lambda: rn.report(ANY, 5, in_channels=0), "in_channels: expected a positive int, got 0"),
        (lambda: rn.adapt(ANY, 5, in_channels=0), "in_channels: expected an int from 1 to 2147483647, got 0"),
        (lambda: rn.adapt(ANY, 5, num_classes=0), "num_classes: expected an int from 1 to 2147483647, got 0"),
        (lambda: transforms.NativePolicy(5, padding=-1), "padding: expected a non-negative int, got -1"),
        (lambda: POLICY(5, scale=(0.5, 1.5)), f"scale: {RANGE} 1, got (0.5, 1.5)"),
        (lambda: POLICY(5, scale=(1, 0.5)), f"scale: {RANGE} 1, got (1, 0.5)"),
        (lambda: POLICY(5, scale=0.5), f"scale: {RANGE} 1, got 0.5"),
        (lambda: POLICY(5, ratio=(0, 1)), f"ratio: {RANGE} 2.14748e+09, got (0, 1)"),
        (lambda: POLICY(5, crop_pct=1.1), "crop_pct: expected a number above 4.65661e-10 and at most 1, got 1.1"),
    ],
    rn.ShapeError: [
        (lambda: rn.FixedResizer(5)(IMAGE[0]), "resize: expected (B, C, H, W), got 3 dimensions (3, 5, 7)"),
        (
            lambda: rn.report(torchvision.models.AlexNet(), 32),
            "report: AlexNet cannot take an image of (3, 32, 32): ",
        ),
        (
            lambda: rn.report(VIT, 24),
            "VisionTransformer cannot take an image of (3, 24, 24): Wrong image height! Expected 32 but got 24!",
        ),
    ],
    rn.DtypeError: [
        (
            lambda: rn.FixedResizer(5)(IMAGE.int()),
            "resize: expected a floating point or uint8 tensor, got torch.int32; convert it first",
        ),
        (lambda: functional.resize(NESTED, 5), "resize: expected a dense tensor (B, C, H, W), got a nested tensor"),
        (
            lambda: functional.resize_filter(NESTED, 5),
            "resize_filter: expected a dense tensor (O, I, k, k), got a nested",
        ),
        (lambda: rn.Resizer(5)(NESTED), "Resizer: expected a dense tensor (B, C, H, W), got a nested tensor"),
        (lambda: resnet()(NESTED), "ResNet: expected a dense tensor (B, 3, H, W), got a nested tensor"),
        (lambda: resnet()(IMAGE.to_sparse()), "ResNet: expected a dense tensor (B, 3, H, W), got torch.sparse_coo"),
        (lambda: resnet()(IMAGE.to(torch.float8_e4m3fn)), "ResNet: expected a floating point image, got torch.float8"),
        (lambda: transforms.Stretch(5)(NESTED), "Stretch: expected a dense tensor (..., C, H, W), got a nested tensor"),
        (
            lambda: transforms.PadToSquare()(IMAGE.to_sparse()),
            "PadToSquare: expected a dense tensor (..., C, H, W), got",
        ),
        (lambda: transforms.BatchResize(5)(NESTED), "expected a dense tensor"),
        (
            lambda: transforms.BatchRandomResizedCrop(5)(NESTED),
            "BatchRandomResizedCrop: expected a dense tensor (B, C, ",
        ),
    ],
    rn.UnsupportedModelError: [
        (lambda: rn.adapt(ANY, 5), "adapt: Identity has no feature map whose stride is known; resize"),
    ],
}


@pytest.mark.parametrize(
    ("error", "call", "message"), [(error, *row) for error, rows in MISTAKES.items() for row in rows]
)
def test_an_error_says_what_was_expected_and_what_was_passed(
    error: type[Exception], call: Callable[[], object], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        call()
    assert type(caught.value) is error


def test_every_error_is_in_the_table() -> None:
    tested_elsewhere = {"ResizenetError", "CheckpointError"}  # tests/models/test_checkpoint.py has the last
    assert {error.__name__ for error in MISTAKES} == set(TREE) - tested_elsewhere
