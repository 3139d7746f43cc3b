"""The ways to use pretrained weights at 32 px: what each changes in the network, and their validation images."""

import numpy as np
import pytest
import torch
from benchmarks.accuracy._networks import TrainedInFloat32
from benchmarks.accuracy._pretrained import (
    ADAPT_FEATURES,
    ADAPT_PRETRAINED,
    CHOSEN,
    RATES,
    WAYS,
    adapted,
    classifier,
    folded,
    native,
)
from benchmarks.accuracy._results import load
from torch import nn
from torch.nn import functional as F

import resizenet as rn

pytest.importorskip("efficientnet_lite_pytorch", reason="part of the bench extra")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return F.interpolate(torch.rand(2, 3, 8, 8), (32, 32), mode="bicubic")


def test_the_last_maps_are_those_of_the_names() -> None:
    maps = {way: rn.report(make(), upscale or 32).final.output_map for way, (make, upscale) in WAYS.items()}
    assert list(maps.values()) == [(1, 1), (2, 2), (4, 4), (4, 4), (2, 2), (4, 4)]


@torch.inference_mode()
def test_the_folded_stem_computes_what_the_native_one_computes_on_upscaled_images(images: torch.Tensor) -> None:
    upscaled = F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)
    expected, found = native().model._conv_stem(upscaled), folded().model._conv_stem(images)
    difference = (found - expected).abs()
    assert difference[..., :-1, :-1].max() < 1e-4 * expected.abs().max()
    assert difference[..., -1].max() > 0.1  # the padding below and to the right is zero for the one only


@torch.inference_mode()
def test_the_adapted_network_has_the_same_weights_and_differs_in_two_strides() -> None:
    before, after = native(), adapted()
    assert all(map(torch.equal, before.state_dict().values(), after.state_dict().values()))
    strides = [
        [layer.stride[0] for layer in model.modules() if isinstance(layer, nn.Conv2d)] for model in (before, after)
    ]
    changed = [(old, new) for old, new in zip(*strides, strict=True) if old != new]
    assert changed == [(2, 1), (2, 1)]


def test_layers_that_are_slow_in_bf16_are_trained_in_float32_and_evaluated_in_bf16() -> None:
    module, x = TrainedInFloat32(nn.Linear(2, 2)), torch.rand(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert (module.train()(x).dtype, module.eval()(x).dtype) == (torch.float32, torch.bfloat16)


@torch.inference_mode()
def test_the_classifier_computes_the_same_features(images: torch.Tensor) -> None:
    model = classifier(folded).eval()
    torch.testing.assert_close(model[0](images), folded().eval()(images))
    assert model(images).shape == (2, 10)


def test_every_way_has_the_rate_that_was_best_for_the_validation_images() -> None:
    found = load("adapt_pretrained-rates")
    for way in WAYS:
        accuracies = {rate: found[f"{way}, lr {rate:g}"][0]["accuracy"] for rate in RATES}
        assert max(accuracies, key=accuracies.__getitem__) == CHOSEN[way]


def test_validation_images_are_training_images_that_no_rate_is_trained_on(tmp_path, arrays) -> None:
    path = tmp_path / "cifar10.npz"
    np.savez(path, **arrays(train=3600, test=20))
    train = arrays(train=3600, test=20)["x_train"]
    rates = ADAPT_PRETRAINED["rates"].load(path)
    assert (len(rates.x_train), len(rates.x_test)) == (2560, 1000)
    assert np.array_equal(rates.x_test.permute(0, 2, 3, 1).numpy(), train[-1000:])
    assert len(ADAPT_PRETRAINED["full"].load(path).x_test) == len(ADAPT_FEATURES["small"].load(path).x_test) == 20
