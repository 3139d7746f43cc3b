"""How large objects look in evaluation compared with training: the closed form, the simulation, the suggested size."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resizenet.transforms import (
    BiTHyperRulePolicy,
    KeepRatioPolicy,
    LetterboxPolicy,
    NativePolicy,
    RandomResizedCropPolicy,
    ResizePolicy,
    StretchPolicy,
    UpscalePolicy,
    suggest_eval_size,
)
from strategies import lengths

CIFAR = RandomResizedCropPolicy(32, crop_pct=1.0)
NARROW = RandomResizedCropPolicy(64, scale=(0.3, 0.9), ratio=(1, 1), crop_pct=0.8)  # every crop of a square image fits


@pytest.mark.parametrize(
    ("policy", "ratio"),
    [  # the formula of Touvron et al. 2019, section 3
        (RandomResizedCropPolicy.classic(), 0.809),
        (RandomResizedCropPolicy.torchvision_v2(), 0.934),
        (RandomResizedCropPolicy(224, eval_size=288, crop_pct=1.0), 0.911),
        (RandomResizedCropPolicy.timm(), 0.959),  # from 303.16 px where an image has 303
        (RandomResizedCropPolicy.efficientnet_v2_s(), 0.907),
        (CIFAR, 0.708),
        (RandomResizedCropPolicy.cifar(), 0.948),
        (NativePolicy(32), 1.0),
        (UpscalePolicy(224), 1.0),
        (BiTHyperRulePolicy.for_image(32, 32), 128 / 160),
        (BiTHyperRulePolicy.for_image(300, 400), 480 / 512),
    ],
)
def test_known_recipes_have_the_known_ratio(policy: ResizePolicy, ratio: float) -> None:
    assert policy.apparent_size_ratio() == pytest.approx(ratio, abs=1.1e-3)  # three decimals


@pytest.mark.parametrize("width", [0, 1e-16, 1e-12, 1e-6])
def test_one_scale_or_a_narrow_range_has_its_square_root_as_the_ratio(width: float) -> None:
    scale = (0.25, 0.25 + width)
    policy = RandomResizedCropPolicy(32, scale=scale, crop_pct=1.0)
    assert policy.apparent_size_ratio() == pytest.approx(0.5, abs=1e-6)
    policy = KeepRatioPolicy(32, scale=scale, scale_probability=0.5)
    assert policy.apparent_size_ratio() == pytest.approx(0.75, abs=1e-6)


@pytest.mark.parametrize(
    ("policy", "size"),
    [
        (NARROW, (500, 500)),
        (RandomResizedCropPolicy((64, 96), scale=(0.1, 0.4), ratio=(1.5, 1.5), eval_size=(96, 144)), (400, 600)),
        (KeepRatioPolicy(224, scale=(0.4, 0.9), eval_size=256), (500, 400)),
        (NativePolicy((37, 53)), (37, 53)),
        (UpscalePolicy((61, 53)), (29, 37)),
        (StretchPolicy((61, 53)), (29, 37)),
        (LetterboxPolicy((61, 53)), (290, 370)),
        (BiTHyperRulePolicy((31, 29), (41, 37)), (300, 200)),
    ],
)
def test_the_simulation_agrees_where_every_crop_fits(policy: ResizePolicy, size: tuple[int, int]) -> None:
    simulated = policy.simulate(*size, samples=700)  # a standard error of 0.6 %
    assert simulated == pytest.approx(policy.apparent_size_ratio(), rel=0.025)


def test_the_ratio_is_the_quotient_of_the_enlargements() -> None:
    crops = [NARROW.train().make_params([torch.zeros(1, 500, 500)])["height"] for _ in range(1000)]
    ratios = [(80 / 500) / (64 / crop) for crop in crops]  # of the image in evaluation, of the crop in training
    assert NARROW.apparent_size_ratio() == pytest.approx(np.mean(ratios), rel=0.02)  # a standard error of 0.5 %


def test_the_simulation_accounts_for_the_shape_of_the_image() -> None:
    policy = RandomResizedCropPolicy(64, scale=(0.25, 0.25), ratio=(1, 1), crop_pct=1.0)
    assert policy.simulate(200, 800, samples=3) == pytest.approx(1.0)  # a crop of 200 px has the full height
    assert policy.apparent_size_ratio() == pytest.approx(0.5)


@pytest.mark.parametrize("size", [(1, 500), (500, 1)], ids=str)
def test_the_simulation_finds_a_whole_object_in_a_crop_of_a_panorama(size: tuple[int, int]) -> None:
    assert UpscalePolicy(64).simulate(*size, samples=5) == pytest.approx(1.0)  # each crop shows a 500th of the image


def test_the_simulation_gives_three_quarters_for_the_classic_recipe() -> None:
    ratio = RandomResizedCropPolicy.classic().simulate(400, 400, samples=2000)
    area, aspect = np.random.default_rng(0).uniform([0.08, math.log(3 / 4)], [1, math.log(4 / 3)], size=(50_000, 2)).T
    fits = area * np.exp(np.abs(aspect)) <= 1  # on a square of side 1; otherwise the crop is drawn again
    assert ratio == pytest.approx(np.sqrt(area[fits]).mean() * 256 / 224, rel=0.02)  # a standard error of 0.6 %
    assert ratio == pytest.approx(0.76, abs=0.02)


def test_a_simulation_does_not_change_the_draws_of_training() -> None:
    before = torch.get_rng_state()
    CIFAR.simulate(32, 32, samples=3)
    assert torch.equal(torch.get_rng_state(), before)


@settings(max_examples=25)
@given(st.tuples(st.integers(20, 60), st.integers(20, 60)))
def test_covered_images_of_any_shape_have_the_ratio_of_one(size: tuple[int, int]) -> None:
    for policy in (UpscalePolicy((41, 53)), KeepRatioPolicy((41, 53), scale_probability=0.0)):
        assert policy.simulate(*size, samples=4) == pytest.approx(1, abs=0.05)  # sides are whole pixels, 41 or more
        assert math.isclose(policy.apparent_size_ratio(), 1)


shares = st.floats(0.05, 1)
scales = st.tuples(shares, shares).map(lambda pair: tuple(sorted(pair)))


@given(st.integers(8, 512), scales, st.floats(0.5, 1), st.floats(0.5, 1.5), lengths)
def test_the_suggested_size_reaches_the_ratio_to_half_a_multiple(
    train: int, scale: tuple[float, float], crop: float, target: float, multiple: int
) -> None:
    height, width = suggest_eval_size(train, scale=scale, crop_pct=crop, target_ratio=target, multiple=multiple)
    assert height == width
    assert height % multiple == 0
    wanted = target * train * crop / np.mean(np.sqrt(np.linspace(*scale, 20001)))
    assert abs(height - wanted) <= multiple / 2 + 0.01 or height == multiple  # 0.01 px: the numerical mean


def test_the_suggested_size_for_the_classic_recipe_is_that_of_fixres() -> None:
    assert suggest_eval_size(224, multiple=32) == (288, 288)  # Touvron et al. 2019: the best for a ResNet-50
    assert suggest_eval_size((224, 448), multiple=32) == (288, 544)  # 553.9


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (CIFAR, "! objects look 29 % smaller in evaluation than in training; eval_size=45 evens it out"),
        (
            RandomResizedCropPolicy((32, 64), crop_pct=1.0),
            "! objects look 29 % smaller in evaluation than in training; eval_size=(45, 90) evens it out",
        ),
        (RandomResizedCropPolicy.torchvision_v2(), "objects look 7 % smaller in evaluation than in training"),
        (
            RandomResizedCropPolicy(32, eval_size=64),
            "! objects look 62 % larger in evaluation than in training; eval_size=40 evens it out",
        ),
        (BiTHyperRulePolicy.for_image(32, 32), "! objects look 20 % smaller in evaluation than in training"),
        (NativePolicy(32), "objects look equally large in both"),
    ],
)
def test_a_description_ends_with_the_ratio_and_warns_if_it_is_far_from_one(policy: ResizePolicy, line: str) -> None:
    assert policy.describe().splitlines()[-1] == line
