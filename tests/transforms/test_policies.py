"""Policies: sizes in training and evaluation, what each does to an image, the ratio of apparent sizes, words, and dataclass manners."""

import dataclasses
import json
import math
import pickle
from collections import UserList
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from resizenet import ArgumentError, ShapeError, SizeError, UnknownNameError
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

POLICIES = {
    "native": NativePolicy((29, 37), padding=3),
    "native, no padding": NativePolicy((29, 37), padding=0),
    "upscale": UpscalePolicy((61, 53)),
    "upscale, nearest": UpscalePolicy(41, interpolation="nearest-exact"),
    "stretch": StretchPolicy((43, 31)),
    "stretch, drawn": StretchPolicy((43, 31), interpolation=["bicubic", "bilinear"]),
    "letterbox": LetterboxPolicy((53, 61), fill=(1, 2, 3), mask_fill=255, position="top_left"),
    "crop": RandomResizedCropPolicy((23, 31), scale=(0.7, 1), eval_size=(19, 17), crop_pct=0.9),
    "crop, bicubic": RandomResizedCropPolicy(31, scale=(0.8, 1), interpolation="bicubic"),
    "keep ratio": KeepRatioPolicy((23, 19), eval_size=(17, 23), crop_pct=0.9, fill=7),
    "BiT": BiTHyperRulePolicy((31, 29), (41, 37)),
}
SIZES = {name: (policy.train_size, policy.eval_size) for name, policy in POLICIES.items()}
FIXED = {"native, no padding", "stretch", "letterbox"}  # nothing is drawn
EACH = pytest.mark.parametrize("name", POLICIES)
SPLITS = pytest.mark.parametrize("split", [0, 1], ids=["train", "eval"])


def image(height: int = 29, width: int = 37) -> Tensor:
    return torch.randint(256, (3, height, width), dtype=torch.uint8)


def halves(policy: ResizePolicy) -> tuple[v2.Transform, v2.Transform]:
    return policy.train(), policy.eval()


# --- shapes


def test_the_sizes_are_those_that_were_asked_for() -> None:
    assert SIZES == {
        "native": ((29, 37), (29, 37)),
        "native, no padding": ((29, 37), (29, 37)),
        "upscale": ((61, 53), (61, 53)),
        "upscale, nearest": ((41, 41), (41, 41)),
        "stretch": ((43, 31), (43, 31)),
        "stretch, drawn": ((43, 31), (43, 31)),
        "letterbox": ((53, 61), (53, 61)),
        "crop": ((23, 31), (19, 17)),
        "crop, bicubic": ((31, 31), (31, 31)),
        "keep ratio": ((23, 19), (17, 23)),
        "BiT": ((31, 29), (31, 29)),
    }


@EACH
@SPLITS
def test_tensors_get_the_size(name: str, split: int) -> None:
    transform = halves(POLICIES[name])[split]
    assert isinstance(transform, v2.Transform)
    assert transform(image()).shape == (3, *SIZES[name][split])
    assert transform(torch.rand(2, 3, 29, 37)).shape == (2, 3, *SIZES[name][split])


@EACH
@SPLITS
def test_pil_images_get_the_size(name: str, split: int) -> None:
    out = halves(POLICIES[name])[split](Image.fromarray(np.zeros((29, 37, 3), np.uint8)))
    assert isinstance(out, Image.Image)
    assert out.size == SIZES[name][split][::-1]


@EACH
def test_evaluation_is_deterministic_and_training_is_seeded_by_torch(name: str) -> None:
    x = image()
    train, evaluate = halves(POLICIES[name])
    assert torch.equal(evaluate(x), evaluate(x))
    draws = []
    for seed in (5, 5, *range(10)):
        torch.manual_seed(seed)
        draws.append(train(x))
    assert torch.equal(draws[0], draws[1])
    assert any(not torch.equal(draw, draws[0]) for draw in draws) == (name not in FIXED)


@EACH
def test_evaluation_draws_nothing(name: str) -> None:
    x, before = image(), torch.get_rng_state()
    POLICIES[name].eval()(x)
    assert torch.equal(torch.get_rng_state(), before)


# --- what each does


def test_the_native_policy_pads_with_black_and_evaluates_the_image_itself() -> None:
    x = torch.full((3, 29, 37), 200, dtype=torch.uint8)
    policy = NativePolicy((29, 37), padding=5)
    assert policy.eval()(x) is x
    assert {value.item() for _ in range(20) for value in policy.train()(x).unique()} == {0, 200}


def test_the_upscale_policy_keeps_the_shape_of_objects() -> None:
    x = torch.zeros(1, 20, 40)
    x[:, 5:15, 15:25] = 1  # a square in the middle
    inside = (UpscalePolicy(40).eval()(x)[0] > 0.5).nonzero()
    height, width = (inside.amax(0) - inside.amin(0) + 1).tolist()
    assert height == width == 20


def test_the_stretch_policy_shows_everything() -> None:
    x = torch.zeros(1, 20, 40)
    x[:, 5:15, 10:30] = 1  # half of each side, in the middle
    for transform in halves(StretchPolicy((12, 8))):
        assert (transform(x)[0] > 0.5).nonzero().tolist() == [
            [row, column] for row in range(3, 9) for column in range(2, 6)
        ]


def test_the_letterbox_policy_shows_everything_and_fills_the_rest() -> None:
    sample = (tv_tensors.Image(torch.full((1, 40, 20), 9)), tv_tensors.Mask(torch.full((40, 20), 9)))
    for transform in halves(LetterboxPolicy(20, fill=5, mask_fill=255)):
        image, mask = transform(sample)
        assert image[0, 0].tolist() == [5] * 5 + [9] * 10 + [5] * 5
        assert mask[0].tolist() == [255] * 5 + [9] * 10 + [255] * 5


def test_the_letterbox_policy_enlarges_only_when_told() -> None:
    x = torch.ones(1, 10, 10)
    assert LetterboxPolicy(20).eval()(x).sum() == 100
    assert LetterboxPolicy(20, upscale=True).eval()(x).sum() == 400


def test_the_crop_policy_evaluates_the_centre_of_the_covering_resize() -> None:
    x = torch.arange(64.0).expand(1, 64, 64)
    out = RandomResizedCropPolicy(32, crop_pct=0.5).eval()(x)  # to 64, so that nothing is resized, then the middle
    assert torch.equal(out, x[:, 16:48, 16:48])


def test_convention_the_scale_of_a_crop_is_a_share_of_the_area() -> None:
    crop = RandomResizedCropPolicy(32, scale=(0.8, 1), ratio=(1, 1)).train()
    sides = [crop.make_params([torch.zeros(3, 32, 32)])["height"] for _ in range(300)]
    assert (min(sides), max(sides)) == (29, 32)  # sqrt(0.8) * 32 = 28.6; a share of the side would reach 26


def test_the_keep_ratio_policy_fills_only_what_its_stretch_leaves_short() -> None:
    x = torch.ones(1, 40, 40)
    wide = KeepRatioPolicy(40, scale=(1, 1), ratio=(1.25, 1.25), ratio_probability=1.0, fill=5)  # to 35.8 x 44.7
    assert (wide.train()(x) == 5).sum() == 4 * 40
    assert (KeepRatioPolicy(40, ratio_probability=0.0, fill=5).train()(x) == 5).sum() == 0


@pytest.mark.parametrize(
    ("size", "crop", "resize"),
    [
        ((32, 32), 128, 160),
        ((95, 96), 128, 160),
        ((96, 96), 480, 512),
        ((400, 20), 128, 160),
        ((90, 110), 480, 512),
        ((375, 500), 480, 512),
    ],
)
def test_the_hyperrule_goes_by_the_area(
    size: tuple[int, int], crop: int, resize: int
) -> None:  # bit_hyperrule.get_resolution
    policy = BiTHyperRulePolicy.for_image(*size)
    assert (policy.size, policy.resize_size) == ((crop, crop), (resize, resize))


def test_the_hyperrule_crops_the_stretched_image_and_evaluates_it_whole() -> None:
    x = torch.arange(40.0).expand(1, 40, 40)
    policy = BiTHyperRulePolicy(30, 40)
    crop = policy.train()(x)[0, 0]
    assert crop[0] in range(11)
    assert torch.equal(crop, torch.arange(30.0) + crop[0])
    first, last = policy.eval()(x)[0, 0, [0, -1]].tolist()
    assert 0 < first < 1  # of 4 columns that become 3
    assert first + last == pytest.approx(39)


@pytest.mark.parametrize("name", ["stretch, drawn"])
def test_evaluation_takes_the_first_interpolation(name: str) -> None:
    x = image()
    assert torch.equal(POLICIES[name].eval()(x), StretchPolicy((43, 31), interpolation="bicubic").eval()(x))


# --- apparent size

RATIOS = {  # FACTS, section 6
    "classic 224": (RandomResizedCropPolicy.classic(), 0.809),
    "torchvision V2": (RandomResizedCropPolicy.torchvision_v2(), 0.934),
    "timm 288, crop 1.0": (RandomResizedCropPolicy(224, eval_size=288, crop_pct=1.0), 0.911),
    "timm 288, crop 0.95": (RandomResizedCropPolicy.timm(), 0.959),
    "EfficientNetV2-S": (RandomResizedCropPolicy.efficientnet_v2_s(), 0.907),
    "CIFAR, 0.08": (RandomResizedCropPolicy(32, crop_pct=1.0), 0.708),
    "CIFAR, 0.8": (RandomResizedCropPolicy.cifar(), 0.948),
    "CIFAR, pad 4": (NativePolicy(32), 1.0),
    "upscaled": (UpscalePolicy(224), 1.0),
    "BiT, small": (BiTHyperRulePolicy.for_image(32, 32), 128 / 160),
    "BiT, large": (BiTHyperRulePolicy.for_image(300, 400), 480 / 512),
}


@pytest.mark.parametrize("recipe", RATIOS)
def test_known_recipes_have_the_known_ratio(recipe: str) -> None:
    policy, ratio = RATIOS[recipe]
    assert policy.apparent_size_ratio() == pytest.approx(
        ratio, abs=1.1e-3
    )  # three decimals, from 303.16 px where an image has 303


@pytest.mark.parametrize("width", [1e-16, 1e-12, 1e-6])
def test_a_narrow_range_of_scales_is_as_good_as_one_scale(width: float) -> None:
    assert RandomResizedCropPolicy(32, scale=(0.25, 0.25 + width), crop_pct=1.0).apparent_size_ratio() == pytest.approx(
        0.5, abs=1e-6
    )


def test_one_scale_only_has_its_square_root_as_the_ratio() -> None:
    assert RandomResizedCropPolicy(32, scale=(0.25, 0.25), crop_pct=1.0).apparent_size_ratio() == pytest.approx(0.5)
    assert KeepRatioPolicy(32, scale=(0.25, 0.25), scale_probability=0.5).apparent_size_ratio() == pytest.approx(0.75)


SIMULATED = {  # where every crop fits: square images, no aspect
    "crop": (RandomResizedCropPolicy(64, scale=(0.3, 0.9), ratio=(1, 1), crop_pct=0.8), (500, 500)),
    "crop, rectangle": (
        RandomResizedCropPolicy((64, 96), scale=(0.1, 0.4), ratio=(1.5, 1.5), eval_size=(96, 144)),
        (400, 600),
    ),
    "keep ratio": (KeepRatioPolicy(224, scale=(0.4, 0.9), eval_size=256), (500, 400)),
    "native": (NativePolicy((37, 53)), (37, 53)),
    "upscale": (UpscalePolicy((61, 53)), (29, 37)),
    "stretch": (StretchPolicy((61, 53)), (29, 37)),
    "letterbox": (LetterboxPolicy((61, 53)), (290, 370)),
    "BiT": (BiTHyperRulePolicy((31, 29), (41, 37)), (300, 200)),
}


@pytest.mark.parametrize("name", SIMULATED)
def test_the_ratio_is_what_the_transforms_do(name: str) -> None:
    policy, size = SIMULATED[name]
    assert policy.simulate(*size, samples=700) == pytest.approx(
        policy.apparent_size_ratio(), rel=0.025
    )  # 700 draws: a standard error of 0.6 %


def test_the_ratio_is_what_objects_show() -> None:
    policy = RandomResizedCropPolicy(64, scale=(0.3, 0.9), ratio=(1, 1), crop_pct=0.8)
    crops = [policy.train().make_params([torch.zeros(1, 500, 500)])["height"] for _ in range(1000)]
    ratios = [
        (80 / 500) / (64 / crop) for crop in crops
    ]  # how much evaluation enlarges the image, over how much training enlarges the crop
    assert policy.apparent_size_ratio() == pytest.approx(
        np.mean(ratios), rel=0.02
    )  # 1000 draws: a standard error of 0.5 %


def test_the_simulation_knows_the_shape_of_the_image() -> None:
    policy = RandomResizedCropPolicy(64, scale=(0.25, 0.25), ratio=(1, 1), crop_pct=1.0)
    assert policy.simulate(200, 800, samples=3) == pytest.approx(
        1.0
    )  # a crop of 200 px: a quarter of the area, and all of the height
    assert policy.apparent_size_ratio() == pytest.approx(0.5)


@pytest.mark.parametrize("size", [(1, 500), (500, 1)], ids=str)
def test_the_simulation_finds_a_whole_object_in_a_crop_of_a_panorama(size: tuple[int, int]) -> None:
    assert UpscalePolicy(64).simulate(*size, samples=5) == pytest.approx(1.0)  # each crop shows a 500th of the image


def test_the_simulation_finds_three_quarters_for_the_classic_recipe() -> None:
    ratio = RandomResizedCropPolicy.classic().simulate(400, 400, samples=2000)
    area, aspect = np.random.default_rng(0).uniform([0.08, math.log(3 / 4)], [1, math.log(4 / 3)], size=(50_000, 2)).T
    fits = area * np.exp(np.abs(aspect)) <= 1  # on a square of side 1; else the crop is drawn again
    assert ratio == pytest.approx(
        np.sqrt(area[fits]).mean() * 256 / 224, rel=0.02
    )  # 2000 draws: a standard error of 0.6 %
    assert ratio == pytest.approx(0.76, abs=0.02)


@given(
    st.integers(8, 512),
    st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)).map(lambda pair: tuple(sorted(pair))),
    st.floats(0.5, 1),
    st.floats(0.5, 1.5),
    lengths,
)
def test_the_suggested_size_reaches_the_ratio_to_half_a_multiple(
    train: int, scale: tuple[float, float], crop: float, target: float, multiple: int
) -> None:
    height, width = suggest_eval_size(train, scale=scale, crop_pct=crop, target_ratio=target, multiple=multiple)
    assert height == width
    assert height % multiple == 0
    wanted = target * train * crop / np.mean(np.sqrt(np.linspace(*scale, 20001)))
    assert abs(height - wanted) <= multiple / 2 + 0.01 or height == multiple  # 0.01 px: the numerical mean


def test_the_suggested_size_for_the_classic_recipe_is_that_of_fixres() -> (
    None
):  # Touvron et al. 2019: ResNet-50 trained at 224 is best at 288
    assert suggest_eval_size(224, multiple=32) == (288, 288)
    assert suggest_eval_size((224, 448), multiple=32) == (288, 544)  # 553.9


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (
            RandomResizedCropPolicy(32, crop_pct=1.0),
            "! objects look 29 % smaller in evaluation than in training; eval_size=45 evens it out",
        ),
        (
            RandomResizedCropPolicy.classic(),
            "! objects look 19 % smaller in evaluation than in training; eval_size=277 evens it out",
        ),
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
def test_a_pair_that_is_far_apart_is_told_in_words(policy: ResizePolicy, line: str) -> None:
    assert policy.describe().splitlines()[-1] == line


@EACH
def test_descriptions_have_the_name_the_sizes_and_four_lines(name: str) -> None:
    title, train, evaluate, _ = POLICIES[name].describe().splitlines()
    sizes = ["x".join(map(str, size)) for size in SIZES[name]]
    assert title == type(POLICIES[name]).__name__
    assert train.startswith(f"train  {sizes[0]}  ")
    assert evaluate.startswith(f"eval   {sizes[1]}  ")


# --- dataclass manners


@EACH
def test_policies_survive_a_round_trip_through_json(name: str) -> None:
    policy = POLICIES[name]
    assert ResizePolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    assert policy.to_dict()["policy"] == type(policy).__name__


@EACH
def test_policies_are_frozen_hashable_and_picklable(name: str) -> None:
    policy = POLICIES[name]
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.size = 7
    assert len({policy, pickle.loads(pickle.dumps(policy)), dataclasses.replace(policy)}) == 1


@EACH
def test_another_size_changes_nothing_else(name: str) -> None:
    policy = POLICIES[name]
    other = policy.with_size((17, 11))
    assert (type(other), other.train_size) == (type(policy), (17, 11))
    back = other.with_size(policy.train_size)
    assert back == (
        policy if name != "BiT" else dataclasses.replace(policy, resize_size=back.resize_size)
    )  # which is rounded


def test_an_evaluation_size_moves_with_the_training_size_only_where_the_two_are_equal() -> None:
    for policy in (RandomResizedCropPolicy, KeepRatioPolicy):
        assert policy(224).with_size(160).eval_size == (160, 160)
        assert policy(224, eval_size=288).with_size(160).eval_size == (288, 288)


def test_the_resize_of_the_bit_rule_moves_with_the_crop_so_that_objects_keep_their_size() -> None:
    policy = BiTHyperRulePolicy.for_image(32, 32)
    assert [policy.with_size(size).resize_size for size in (64, 160, (256, 128))] == [(80, 80), (200, 200), (320, 160)]
    assert policy.with_size((100, 200)).apparent_size_ratio() == pytest.approx(0.8)


def test_to_look_at_a_policy_draws_nothing_that_training_would_draw() -> None:
    before = torch.get_rng_state()
    RandomResizedCropPolicy(32).simulate(32, 32, samples=3)
    assert torch.equal(torch.get_rng_state(), before)


class _Gentle(RandomResizedCropPolicy):
    """As users write them."""


def test_policies_of_users_are_stored_and_read_like_ours() -> None:
    policy = _Gentle(32, scale=(0.5, 1.0))
    assert ResizePolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    assert ResizePolicy.from_dict(policy.to_dict()) != RandomResizedCropPolicy(32, scale=(0.5, 1.0))


def test_ranges_may_come_from_numpy_and_from_any_sequence() -> None:
    policy = RandomResizedCropPolicy(
        32, scale=UserList([np.float32(0.5), 1]), interpolation=UserList(["bilinear", "bicubic"])
    )
    assert policy == RandomResizedCropPolicy(32, scale=(0.5, 1.0), interpolation=("bilinear", "bicubic"))
    json.dumps(policy.to_dict())


def test_equal_arguments_make_equal_policies() -> None:
    assert UpscalePolicy(7) == UpscalePolicy([7, 7]) != UpscalePolicy((7, 11))
    assert RandomResizedCropPolicy(7, scale=[0.5, 1]) == RandomResizedCropPolicy((7, 7), scale=(0.5, 1), eval_size=7)
    assert LetterboxPolicy(7, fill=[1, 2, 3]) == LetterboxPolicy(7, fill=(1, 2, 3))
    assert repr(NativePolicy(7)) == "NativePolicy(size=(7, 7), padding=4)"


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            {"policy": "UpscalPolicy", "size": 7},
            UnknownNameError,
            "policy: expected one of .* did you mean 'UpscalePolicy'",
        ),
        ({"size": 7}, UnknownNameError, "policy: expected one of .* got None"),
        (
            {"policy": "NativePolicy", "size": 7, "margin": 1},
            ArgumentError,
            "NativePolicy: .*unexpected keyword argument 'margin'",
        ),
        ({"policy": "NativePolicy"}, ArgumentError, "NativePolicy: .*missing .*'size'"),
        ({"policy": "NativePolicy", "size": 0}, SizeError, "size: expected an int"),
    ],
)
def test_a_bad_dict_says_what_is_wrong_and_stays_as_it_was(
    values: dict[str, object], error: type[Exception], message: str
) -> None:
    before = dict(values)
    with pytest.raises(error, match=message):
        ResizePolicy.from_dict(values)
    assert values == before


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LetterboxPolicy(7, position="middle"), UnknownNameError, "position: expected one of"),
        (lambda: LetterboxPolicy(7, mask_fill="7"), ArgumentError, "mask_fill: expected an int, got '7'"),
        (lambda: StretchPolicy(7, interpolation=["area"]), UnknownNameError, "interpolation: expected one of"),
        (
            lambda: KeepRatioPolicy(7, scale_probability=1.5),
            ArgumentError,
            "scale_probability: expected a number at least 0 and at most 1, got 1.5",
        ),
        (
            lambda: KeepRatioPolicy(7, crop_pct=0),
            ArgumentError,
            "crop_pct: expected a number above 0 and at most 1, got 0",
        ),
        (
            lambda: KeepRatioPolicy(7, eval_size="7"),
            SizeError,
            "eval_size: expected an int or (height, width) in whole pixels, got '7'",
        ),
        (
            lambda: BiTHyperRulePolicy(9, 7),
            ArgumentError,
            "resize_size: expected at least (9, 9), the size of the crop, got (7, 7)",
        ),
        (
            lambda: BiTHyperRulePolicy.for_image(0, 7),
            SizeError,
            "size: expected an int or (height, width), each at least 1, got (0, 7)",
        ),
        (
            lambda: suggest_eval_size(0),
            SizeError,
            "train_size: expected an int or (height, width), each at least 1, got 0",
        ),
        (
            lambda: suggest_eval_size(7, scale=(0.5, 2)),
            ArgumentError,
            "scale: expected (low, high) with 0 < low <= high <= 1, got (0.5, 2)",
        ),
        (
            lambda: suggest_eval_size(7, target_ratio=0),
            ArgumentError,
            "target_ratio: expected a number above 0, got 0",
        ),
        (lambda: suggest_eval_size(7, multiple=0), ArgumentError, "multiple: expected a positive int, got 0"),
        (
            lambda: suggest_eval_size(7, crop_pct=2),
            ArgumentError,
            "crop_pct: expected a number above 0 and at most 1, got 2",
        ),
        (lambda: StretchPolicy(7).simulate(0, 7), ArgumentError, "height: expected a positive int, got 0"),
        (lambda: StretchPolicy(7).simulate(7, 7, samples=0), ArgumentError, "samples: expected a positive int, got 0"),
        (
            lambda: StretchPolicy(7).with_size(0),
            SizeError,
            "size: expected an int or (height, width), each at least 1, got 0",
        ),
    ],
)
def test_mistakes_say_what_was_expected(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "make", [RandomResizedCropPolicy, KeepRatioPolicy, UpscalePolicy, StretchPolicy, LetterboxPolicy]
)
@SPLITS
def test_a_sample_without_an_image_is_a_shape_error(make: Callable[[int], ResizePolicy], split: int) -> None:
    with pytest.raises(ShapeError, match=r"expected a sample with images, masks and boxes of one size: No image"):
        halves(make(7))[split]({"label": 7})


def test_a_policy_of_ones_own_needs_its_transforms_and_gets_the_rest() -> None:
    @dataclasses.dataclass(frozen=True)
    class Mine(ResizePolicy):
        size: int

        def train(self) -> v2.Transform:
            return v2.CenterCrop(self.size)

        eval = train

    class Empty(ResizePolicy):
        pass

    assert Mine(7).simulate(9, 11, samples=1) == 1
    assert Mine(7).describe().splitlines()[1] == "train  7x7  CenterCrop(size=(7, 7))"
    for missing in ("train", "eval"):
        with pytest.raises(NotImplementedError, match=f"Empty must implement {missing}"):
            getattr(Empty(), missing)()


@settings(max_examples=25)
@given(st.tuples(st.integers(20, 60), st.integers(20, 60)))
def test_training_objects_are_as_large_as_the_ratio_says_for_any_image_that_is_covered(size: tuple[int, int]) -> None:
    for policy in (UpscalePolicy((41, 53)), KeepRatioPolicy((41, 53), scale_probability=0.0)):
        assert policy.simulate(*size, samples=4) == pytest.approx(1, abs=0.05)  # sides are whole pixels, of 41 and more
        assert math.isclose(policy.apparent_size_ratio(), 1)
