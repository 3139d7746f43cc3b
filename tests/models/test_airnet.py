"""AirNet and its whitening stem: what the initialization promises, every size, and the errors."""

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from resizenet import ArgumentError, DtypeError, ShapeError
from resizenet.models import AirNet, FeatureExtractor, WhiteningStem

IMAGES = torch.rand(50, 2, 7, 6, generator=torch.Generator().manual_seed(0))


def patches(images: np.ndarray) -> np.ndarray:
    """(N, C * 4): every 2x2 patch as (channel, row, column)."""
    height, width = images.shape[2:]
    corners = [(y, x) for y in range(height - 1) for x in range(width - 1)]
    return np.concatenate([images[:, :, y : y + 2, x : x + 2].reshape(len(images), -1) for y, x in corners])


def test_whitened_responses_are_uncorrelated_with_unit_variance() -> None:
    stem = WhiteningStem(2).double()
    images = IMAGES.double().cumsum(3) + IMAGES.double().flip(1)  # correlated
    stem.initialize_from(images, eps=1e-12)
    responses = stem.conv(images).movedim(1, 0).flatten(1)
    torch.testing.assert_close(torch.cov(responses[:8], correction=0), torch.eye(8, dtype=torch.float64))
    torch.testing.assert_close(responses[8:], -responses[:8])
    variances = np.linalg.eigvalsh(np.cov(patches(images.numpy()).T, ddof=0))[::-1]
    lengths = stem.conv.weight[:8].flatten(1).norm(dim=1).detach().numpy()
    np.testing.assert_allclose(lengths, variances**-0.5)  # largest variance first


def test_whitening_does_not_amplify_directions_without_variance() -> None:
    stem = WhiteningStem(1)
    stem.initialize_from(torch.ones(3, 1, 4, 4), eps=1e-2)
    lengths = stem.conv.weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((8,), 10.0))
    assert torch.equal(stem.conv.bias, torch.zeros(8))


def test_only_the_stem_and_the_scales_are_fixed() -> None:
    model = AirNet().train()
    fixed = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert fixed == {"stem.conv.weight", *(f"stages.{i}.0.norm{j}.weight" for i in range(3) for j in (1, 2))}
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    model(torch.rand(4, 3, 16, 16)).square().sum().backward()
    optimizer.step()
    assert {name for name, p in model.named_parameters() if torch.equal(p, before[name])} == fixed


def test_convolutions_start_as_partial_identities() -> None:
    first, second = (layer for name, layer in AirNet().stages[1][0].named_children() if name.startswith("conv"))
    x = torch.randn(2, 64, 5, 5)
    torch.testing.assert_close(first(x)[:, :64], x)
    assert first(x)[:, 64:].std() > 0.1
    y = torch.randn(2, 256, 5, 5)
    torch.testing.assert_close(second(y), y)


def test_group_pools_between_the_first_convolution_and_its_norm() -> None:
    group = AirNet(widths=(4, 6, 8)).eval().stages[0][0]
    x = torch.rand(2, 24, 9, 6)
    pooled = F.max_pool2d(F.conv2d(x, group.conv1.weight, padding=1), 2) / math.sqrt(1 + 1e-5)
    middle = F.gelu(pooled + group.norm1.bias[:, None, None])
    expected = F.gelu(F.conv2d(middle, group.conv2.weight, padding=1) / math.sqrt(1 + 1e-5))
    torch.testing.assert_close(group(x), expected)


@pytest.mark.parametrize("size", [(1, 1), (2, 30), (8, 9), (16, 17), (32, 32), (33, 48)])
def test_network_takes_any_size(size: tuple[int, int]) -> None:
    model = AirNet(widths=(4, 6, 8), num_classes=5).eval()
    x = torch.rand(2, 3, *size)
    features = model.forward_features(x)
    assert features.shape == (2, 8, *(max(1, (side - 1) // 8) for side in size))
    torch.testing.assert_close(model(x), features.amax((2, 3)) @ model.fc.weight.T / 8)
    maps = FeatureExtractor(model, indices=(0, 3)).eval()(x)
    torch.testing.assert_close(maps[1], features)
    assert model.feature_strides == (1, 2, 4, 8)
    assert model.stem.receptive_field == 2


def test_border_is_replicated_where_an_image_is_too_small() -> None:
    model = AirNet(widths=(4, 6, 8)).eval()
    x = torch.rand(1, 3, 4, 12)
    extended = torch.cat([x, x[:, :, -1:].expand(-1, -1, 5, -1)], 2)
    torch.testing.assert_close(model(x), model(extended))


def test_single_position_in_train_mode_raises() -> None:
    model = AirNet(widths=(4, 6, 8)).train()
    with pytest.raises(ShapeError, match=r"AirNet: one image of 16x16 is too small for a stride of 8 in train mode"):
        model(torch.rand(1, 3, 16, 16))
    assert model(torch.rand(1, 3, 16, 17)).shape == model(torch.rand(1, 3, 17, 9)).shape == (1, 10)


def test_network_learns_64_digits_by_heart() -> None:
    digits = load_digits()
    x = torch.tensor(digits.images[:64], dtype=torch.float32)[:, None] / 8 - 1
    y = torch.tensor(digits.target[:64], dtype=torch.long)
    model = AirNet(widths=(8, 16, 16), in_channels=1)
    model.initialize_from(x)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert (model.eval()(x).argmax(1) == y).all()


BAD: list[tuple[Any, type[Exception], str]] = [
    (IMAGES, ShapeError, "initialize_from: expected (B, 3, H, W), got (50, 2, 7, 6)"),
    (IMAGES.numpy(), DtypeError, "initialize_from: expected a dense tensor (B, 3, H, W), got ndarray"),
    (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), DtypeError, "initialize_from: expected a floating point image"),
    (torch.zeros(2, 3, 1, 4), ArgumentError, "images: expected finite images of at least 2x2 pixels"),
    (torch.zeros(0, 3, 4, 4), ArgumentError, "images: expected finite images of at least 2x2 pixels"),
    (torch.full((2, 3, 4, 4), math.nan), ArgumentError, "images: expected finite images of at least 2x2 pixels"),
]


@pytest.mark.parametrize(("images", "error", "message"), BAD)
def test_images_that_do_not_fit_are_named(images: Any, error: type[Exception], message: str) -> None:
    model = AirNet()
    before = model.stem.conv.weight.clone()
    with pytest.raises(error, match=re.escape(message)):
        model.initialize_from(images)
    assert torch.equal(model.stem.conv.weight, before)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ArgumentError, match="eps: expected a number above 0, got 0"):
        AirNet().initialize_from(torch.rand(2, 3, 4, 4), eps=0)
    with pytest.raises(ArgumentError, match="act: expected a class or a function that makes a module, got 'gelu'"):
        WhiteningStem(3, act="gelu")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"depths, widths, strides: expected one number per stage"):
        AirNet(widths=(4, 8))
    with pytest.raises(ArgumentError, match=r"in_channels: expected a positive int, got 'rgb'"):
        AirNet(in_channels="rgb")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"in_channels: expected a positive int, got None"):
        WhiteningStem(None)  # type: ignore[arg-type]
