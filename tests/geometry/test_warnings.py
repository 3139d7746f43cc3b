"""Test what a report warns of."""

import contextlib
import re
from collections.abc import Callable

import pytest
import torch
import torchvision
from hypothesis import given
from torch import Tensor, nn

import resizenet as rn
from strategies import convolution_stacks, sizes

TV = torchvision.models


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return TV.get_model(name)


def warnings_with(word: str, model: nn.Module, size: int | tuple[int, int]) -> list[str]:
    return [text for text in rn.report(model, size).warnings if word in text]


def test_resnet18_at_32_px() -> None:
    model = TV.resnet18(num_classes=10)
    third, fourth = (
        f"{100 * sum(p.numel() for p in part.parameters()) / 11_181_642:.0f} %" for part in (model.layer3, model.layer4)
    )
    assert rn.report(model, 32).warnings == (
        f"layer3: 2x2 map, where a 3x3 kernel never has more than 4 of 9 taps inside; {third} of the parameters",
        f"layer4: 1x1 map, where a 3x3 kernel never has more than 1 of 9 taps inside; {fourth} of the parameters",
        "layer4.0.conv1 and 3 more: a 3x3 kernel uses 1 of 9 taps and the others only ever meet padding; "
        f"{100 * (256 * 5 + 3 * 512 * 8) * 512 / 11_181_642:.0f} % of the parameters are idle",
        "from layer1.1.conv1 on, the receptive field (35 px) exceeds the image",
        "layer4.0.bn1 and 4 more: 1 value per channel and image, so BatchNorm raises in training when the last batch "
        "is 1 image; drop_last=True avoids it",
    )


def test_only_the_field_is_mentioned_if_the_image_fits() -> None:
    found = rn.report(TV.resnet18(), 224)
    assert found.warnings == ("from layer4.0.conv1 on, the receptive field (243 px) exceeds the image",)  # 211 + 2 * 16
    assert found.suggestions == ()


@pytest.mark.parametrize(("side", "raises"), [(32, True), (33, False), (64, False)])
def test_a_last_batch_of_one_image_raises_if_the_report_says_so(side: int, raises: bool) -> None:
    model = TV.resnet18(num_classes=10).train()
    with pytest.raises(ValueError, match="more than 1 value per channel") if raises else contextlib.nullcontext():
        model(torch.rand(1, 3, side, side))
    assert len(warnings_with("1 value per channel", model, side)) == raises


def test_stages_with_the_same_map_share_a_warning() -> None:
    first = rn.report(on_meta("efficientnet_b0"), 32).warnings[:2]
    assert [text.partition(";")[0] for text in first] == [
        "features.4 to features.5: 2x2 map, where a 5x5 kernel never has more than 4 of 25 taps inside",
        "features.6 to features.8: 1x1 map, where a 5x5 kernel never has more than 1 of 25 taps inside",
    ]


def test_large_kernels_have_idle_taps_on_larger_maps() -> None:
    (text,) = warnings_with("25 of 49", on_meta("convnext_tiny"), 96)
    assert text.startswith("features.7.0.block.0 and 2 more: a 7x7 kernel uses")
    assert warnings_with("taps", on_meta("convnext_tiny"), 128) == []


DEPTHWISE = "features.14.conv.1.0 and 3 more", "1 %"
DILATED = "classifier.0.convs.1.0 and 2 more", "32 %"


@pytest.mark.parametrize(
    ("build", "side", "expected"),
    [
        (TV.mobilenet_v2, 32, DEPTHWISE),
        (lambda: TV.segmentation.deeplabv3_resnet50(weights_backbone=None), 64, DILATED),
    ],
    ids=["depthwise", "dilated"],
)
def test_idle_weights_are_counted_in_the_named_layers_only(
    build: Callable[[], nn.Module], side: int, expected: tuple[str, str]
) -> None:
    names, share = expected
    with torch.device("meta"):
        model = build()
    assert warnings_with("only ever meet padding", model, side) == [
        f"{names}: a 3x3 kernel uses 1 of 9 taps and the others only ever meet padding; "
        f"{share} of the parameters are idle"
    ]


def idle_weights(convolution: nn.Conv2d, x: Tensor) -> int:
    """Count the weights that no position of the map reaches: for an image of ones their gradient is zero."""
    (counts,) = torch.autograd.grad(convolution(torch.ones_like(x)).sum(), convolution.weight)
    return int((counts == 0).sum())


@given(stack=convolution_stacks(), size=sizes)
def test_shares_of_parameters_are_those_of_the_named_layers(stack: list[nn.Conv2d], size: tuple[int, int]) -> None:
    model, x, idle = nn.Sequential(*stack), torch.rand(1, 3, *size), {}
    for name, convolution in model.named_children():
        idle[name] = idle_weights(convolution, x)
        x = convolution(x)
    params = sum(p.numel() for p in model.parameters())
    found = rn.report(model, size)
    with_idle = [name for name, weights in idle.items() if weights]
    texts = [text for text in found.warnings if "only ever meet padding" in text]
    assert len(texts) == bool(with_idle)
    for text in texts:
        more = f" and {len(with_idle) - 1} more" if with_idle[1:] else ""
        assert text.startswith(f"{with_idle[0]}{more}: ")
        assert int(re.search(r"(\d+) % of the parameters are idle$", text)[1]) == pytest.approx(
            100 * sum(idle.values()) / params, abs=1
        )
    for text in found.warnings:
        if " map" in text and text.endswith(" % of the parameters"):
            first, _, last = text.partition(":")[0].partition(" to ")
            named = [model[i] for i in range(int(first), int(last or first) + 1)]
            share = 100 * sum(p.numel() for layer in named for p in layer.parameters()) / params
            assert int(re.search(r"(\d+) % of the parameters$", text)[1]) == pytest.approx(share, abs=1)


@pytest.mark.parametrize(("side", "warned"), [(10, True), (11, False)])
def test_an_image_smaller_than_the_receptive_field_of_the_stem(side: int, warned: bool) -> None:
    expected = ["the image (10x10) is smaller than the stem's receptive field (11 px)"]
    assert warnings_with("the stem", TV.resnet18(), side) == expected * warned


def test_odd_maps_whose_last_row_is_dropped() -> None:
    assert warnings_with("drops", on_meta("densenet121"), (99, 96)) == [
        "features.transition1.pool: a stride of 2 drops the last 1 of 25 rows of the 25x24 map"
    ]
    assert warnings_with("drops", TV.resnet18(), (99, 97)) == []  # its padding includes them


@pytest.mark.parametrize(("side", "warned"), [(5, False), (4, True)])
def test_a_field_as_large_as_the_image_does_not_exceed_it(side: int, warned: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1))
    expected = ["from 1 on, the receptive field (5 px) exceeds the image"] * warned
    assert warnings_with("exceeds", model, (side, 9)) == expected
