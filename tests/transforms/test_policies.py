"""Policies: the sizes in training and evaluation, what each does to an image, and that they behave as dataclasses."""

import dataclasses
import json
import pickle
from collections import UserList
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
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
    NormalizedPolicy,
    RandomResizedCropPolicy,
    ResizePolicy,
    StretchPolicy,
    UpscalePolicy,
)

POLICIES: dict[str, tuple[ResizePolicy, tuple[int, int], tuple[int, int]]] = {  # with the train and the eval size
    "native": (NativePolicy((29, 37), padding=3), (29, 37), (29, 37)),
    "native, no padding": (NativePolicy((29, 37), padding=0), (29, 37), (29, 37)),
    "upscale": (UpscalePolicy((61, 53)), (61, 53), (61, 53)),
    "upscale, nearest": (UpscalePolicy(41, interpolation="nearest-exact"), (41, 41), (41, 41)),
    "stretch": (StretchPolicy((43, 31)), (43, 31), (43, 31)),
    "stretch, drawn": (StretchPolicy((43, 31), interpolation=["bicubic", "bilinear"]), (43, 31), (43, 31)),
    "letterbox": (LetterboxPolicy((53, 61), fill=(1, 2, 3), mask_fill=255, position="top_left"), (53, 61), (53, 61)),
    "crop": (RandomResizedCropPolicy((23, 31), scale=(0.7, 1), eval_size=(19, 17), crop_pct=0.9), (23, 31), (19, 17)),
    "crop, bicubic": (RandomResizedCropPolicy(31, scale=(0.8, 1), interpolation="bicubic"), (31, 31), (31, 31)),
    "keep ratio": (KeepRatioPolicy((23, 19), eval_size=(17, 23), crop_pct=0.9, fill=7), (23, 19), (17, 23)),
    "BiT": (BiTHyperRulePolicy((31, 29), (41, 37)), (31, 29), (31, 29)),
}
DETERMINISTIC = {"native, no padding", "stretch", "letterbox"}
EACH = pytest.mark.parametrize("name", POLICIES)


def image(height: int = 29, width: int = 37) -> Tensor:
    return torch.randint(256, (3, height, width), dtype=torch.uint8)


def both(policy: ResizePolicy) -> tuple[v2.Transform, v2.Transform]:
    return policy.train(), policy.eval()


@EACH
def test_tensors_and_pil_images_get_the_size(name: str) -> None:
    policy, *sizes = POLICIES[name]
    assert [policy.train_size, policy.eval_size] == sizes
    for transform, size in zip(both(policy), sizes, strict=True):
        assert isinstance(transform, v2.Transform)
        assert transform(image()).shape == (3, *size)
        assert transform(torch.rand(2, 3, 29, 37)).shape == (2, 3, *size)
        out = transform(Image.fromarray(np.zeros((29, 37, 3), np.uint8)))
        assert isinstance(out, Image.Image)
        assert out.size == size[::-1]


@EACH
def test_evaluation_is_deterministic_and_training_is_seeded_by_torch(name: str) -> None:
    x, (train, evaluate) = image(), both(POLICIES[name][0])
    before = torch.get_rng_state()
    assert torch.equal(evaluate(x), evaluate(x))
    assert torch.equal(torch.get_rng_state(), before)  # evaluation draws nothing
    draws = []
    for seed in (5, 5, *range(10)):
        torch.manual_seed(seed)
        draws.append(train(x))
    assert torch.equal(draws[0], draws[1])
    assert any(not torch.equal(draw, draws[0]) for draw in draws) == (name not in DETERMINISTIC)


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
    assert (inside.amax(0) - inside.amin(0) + 1).tolist() == [20, 20]


def test_the_stretch_policy_shows_everything() -> None:
    x = torch.zeros(1, 20, 40)
    x[:, 5:15, 10:30] = 1  # half of each side, in the middle
    expected = torch.zeros(12, 8, dtype=torch.bool)
    expected[3:9, 2:6] = True
    for transform in both(StretchPolicy((12, 8))):
        assert torch.equal(transform(x)[0] > 0.5, expected)


def test_the_letterbox_policy_shows_everything_and_fills_the_rest() -> None:
    sample = (tv_tensors.Image(torch.full((1, 40, 20), 9)), tv_tensors.Mask(torch.full((40, 20), 9)))
    for transform in both(LetterboxPolicy(20, fill=5, mask_fill=255)):
        image, mask = transform(sample)
        assert image[0, 0].tolist() == [5] * 5 + [9] * 10 + [5] * 5
        assert mask[0].tolist() == [255] * 5 + [9] * 10 + [255] * 5


def test_the_letterbox_policy_enlarges_only_if_asked() -> None:
    x = torch.ones(1, 10, 10)
    assert LetterboxPolicy(20).eval()(x).sum() == 100
    assert LetterboxPolicy(20, upscale=True).eval()(x).sum() == 400


def test_the_crop_policy_evaluates_the_center_of_the_covering_resize() -> None:
    x = torch.arange(64.0).expand(1, 64, 64)
    out = RandomResizedCropPolicy(32, crop_pct=0.5).eval()(x)  # to 64, so that nothing is resized, then the middle
    assert torch.equal(out, x[:, 16:48, 16:48])


def test_convention_the_scale_of_a_crop_is_a_share_of_the_area() -> None:
    crop = RandomResizedCropPolicy(32, scale=(0.8, 1), ratio=(1, 1)).train()
    sides = [crop.make_params([torch.zeros(3, 32, 32)])["height"] for _ in range(300)]
    assert (min(sides), max(sides)) == (29, 32)  # sqrt(0.8) * 32 = 28.6; a share of the side would reach 26


def test_the_keep_ratio_policy_fills_only_the_side_that_its_stretch_leaves_too_short() -> None:
    x = torch.ones(1, 40, 40)
    wide = KeepRatioPolicy(40, scale=(1, 1), ratio=(1.25, 1.25), ratio_probability=1.0, fill=5)  # to 35.8 x 44.7
    assert (wide.train()(x) == 5).sum() == 4 * 40
    assert (KeepRatioPolicy(40, ratio_probability=0.0, fill=5).train()(x) == 5).sum() == 0


@pytest.mark.parametrize("size", [(32, 32), (95, 96), (96, 96), (400, 20), (90, 110), (375, 500)])
def test_the_hyperrule_depends_on_the_area(size: tuple[int, int]) -> None:  # bit_hyperrule.get_resolution
    policy = BiTHyperRulePolicy.for_image(*size)
    crop, resize = (128, 160) if size in {(32, 32), (95, 96), (400, 20)} else (480, 512)
    assert (policy.size, policy.resize_size) == ((crop, crop), (resize, resize))


def test_the_hyperrule_crops_the_stretched_image_and_evaluates_all_of_it() -> None:
    x = torch.arange(40.0).expand(1, 40, 40)
    policy = BiTHyperRulePolicy(30, 40)
    crop = policy.train()(x)[0, 0]
    assert crop[0] in range(11)
    assert torch.equal(crop, torch.arange(30.0) + crop[0])
    first, last = policy.eval()(x)[0, 0, [0, -1]].tolist()
    assert 0 < first < 1  # of 4 columns that become 3
    assert first + last == pytest.approx(39)


def test_evaluation_takes_the_first_interpolation() -> None:
    x, (policy, *_) = image(), POLICIES["stretch, drawn"]
    assert torch.equal(policy.eval()(x), StretchPolicy((43, 31), interpolation="bicubic").eval()(x))


# --- sizes that depend on each other


@EACH
def test_another_size_changes_nothing_else(name: str) -> None:
    policy = POLICIES[name][0]
    other = policy.with_size((17, 11))
    assert (type(other), other.train_size) == (type(policy), (17, 11))
    back = other.with_size(policy.train_size)
    rounded = {"resize_size": back.resize_size} if name == "BiT" else {}
    assert back == dataclasses.replace(policy, **rounded)


def test_an_evaluation_size_changes_with_the_training_size_only_if_the_two_are_equal() -> None:
    for policy in (RandomResizedCropPolicy, KeepRatioPolicy):
        assert policy(224).with_size(160).eval_size == (160, 160)
        assert policy(224, eval_size=288).with_size(160).eval_size == (288, 288)


def test_the_resize_of_the_bit_rule_changes_with_the_crop_so_that_objects_keep_their_size() -> None:
    policy = BiTHyperRulePolicy.for_image(32, 32)
    assert [policy.with_size(size).resize_size for size in (64, 160, (256, 128))] == [(80, 80), (200, 200), (320, 160)]
    assert policy.with_size((100, 200)).apparent_size_ratio() == pytest.approx(0.8)


# --- dataclasses


@EACH
def test_descriptions_have_the_name_the_sizes_and_four_lines(name: str) -> None:
    policy, *sizes = POLICIES[name]
    title, train, evaluate, _ = policy.describe().splitlines()
    assert title == type(policy).__name__
    assert train.startswith(f"train  {sizes[0][0]}x{sizes[0][1]}  ")
    assert evaluate.startswith(f"eval   {sizes[1][0]}x{sizes[1][1]}  ")


@EACH
def test_policies_are_frozen_hashable_picklable_and_stored_in_json(name: str) -> None:
    policy = POLICIES[name][0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.size = 7
    assert len({policy, pickle.loads(pickle.dumps(policy)), dataclasses.replace(policy)}) == 1
    assert ResizePolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    assert policy.to_dict()["policy"] == type(policy).__name__


class _Gentle(RandomResizedCropPolicy):
    """As users write them."""


def test_policies_of_users_are_stored_and_read_like_ours() -> None:
    policy = _Gentle(32, scale=(0.5, 1.0))
    assert ResizePolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    assert ResizePolicy.from_dict(policy.to_dict()) != RandomResizedCropPolicy(32, scale=(0.5, 1.0))


def test_numbers_may_come_from_numpy_and_ranges_from_any_sequence() -> None:
    names = UserList(["bilinear", "bicubic"])
    policy = RandomResizedCropPolicy(
        32, scale=UserList([np.float32(0.5), 1]), crop_pct=np.float32(0.5), interpolation=names
    )
    assert policy == RandomResizedCropPolicy(32, scale=(0.5, 1.0), crop_pct=0.5, interpolation=("bilinear", "bicubic"))
    json.dumps(policy.to_dict())


def test_equal_arguments_make_equal_policies() -> None:
    assert UpscalePolicy(7) == UpscalePolicy([7, 7]) != UpscalePolicy((7, 11))
    assert RandomResizedCropPolicy(7, scale=[0.5, 1]) == RandomResizedCropPolicy((7, 7), scale=(0.5, 1), eval_size=7)
    assert LetterboxPolicy(7, fill=[1, 2, 3]) == LetterboxPolicy(7, fill=(1, 2, 3))
    assert repr(NativePolicy(7)) == "NativePolicy(size=(7, 7), padding=4)"
    assert "eval_size=(9, 9), crop_pct=1.0" in repr(RandomResizedCropPolicy(7, eval_size=9, crop_pct=1))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"policy": "UpscalPolicy"}, UnknownNameError, "policy: expected one of .* did you mean 'UpscalePolicy'"),
        ({"size": 7}, UnknownNameError, "policy: expected one of .* got None"),
        ({"policy": "NativePolicy", "size": 7, "margin": 1}, ArgumentError, "NativePolicy: .*argument 'margin'"),
        ({"policy": "NativePolicy"}, ArgumentError, "NativePolicy: .*missing .*'size'"),
        ({"policy": "NativePolicy", "size": 0}, SizeError, "size: expected an int"),
    ],
)
def test_a_bad_dict_is_an_error_and_is_not_edited(values: dict[str, Any], error: type[Exception], message: str) -> None:
    before = dict(values)
    with pytest.raises(error, match=message):
        ResizePolicy.from_dict(values)
    assert values == before


@pytest.mark.parametrize(
    "make", [RandomResizedCropPolicy, KeepRatioPolicy, UpscalePolicy, StretchPolicy, LetterboxPolicy]
)
def test_a_sample_without_an_image_is_a_shape_error(make: Callable[[int], ResizePolicy]) -> None:
    for transform in both(make(7)):
        with pytest.raises(ShapeError, match=r"expected a sample with images, masks and boxes of one size: No image"):
            transform({"label": 7})


def test_a_policy_of_the_user_needs_only_its_transforms() -> None:
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


# --- normalized

MOMENTS = {"mean": (0.5, 0.25, 0.125), "std": (0.25, 0.5, 1.0)}


@EACH
def test_a_normalized_policy_resizes_like_the_other_and_normalizes(name: str) -> None:
    base, *sizes = POLICIES[name]
    policy = NormalizedPolicy(base, **MOMENTS)
    assert [policy.train_size, policy.eval_size] == sizes
    assert policy.apparent_size_ratio() == base.apparent_size_ratio()
    x = tv_tensors.Image(image())
    mean, std = (torch.tensor(values)[:, None, None] for values in MOMENTS.values())
    for ours, theirs in zip(both(policy), both(base), strict=True):
        results = []
        for transform in (ours, theirs):
            torch.manual_seed(3)
            results.append(transform(x).as_subclass(Tensor))
        torch.testing.assert_close(results[0], (results[1] / 255 - mean) / std)
    assert ResizePolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert policy.with_size(19).base == base.with_size(19)


def test_a_normalized_policy_makes_tensors_of_pillow_images() -> None:
    pixels = Image.fromarray(np.full((29, 37, 3), 51, np.uint8))
    out = NormalizedPolicy(NativePolicy((29, 37)), **MOMENTS).eval()(pixels)
    assert (out.shape, out.dtype) == ((3, 29, 37), torch.float32)
    torch.testing.assert_close(out[:, 0, 0].as_subclass(Tensor), torch.tensor([-1.2, -0.1, 0.075]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": 3}, r"base: expected a policy or its to_dict\(\), got 3"),
        ({"mean": "abc"}, "mean: expected a number for each channel, got 'abc'"),
        ({"std": (1, 2)}, "std: expected one number for each of mean, 3, got 2"),
        ({"std": (1, 2, 0)}, "std: expected a number above 0, got 0"),
    ],
)
def test_moments_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        NormalizedPolicy(**{"base": NativePolicy(7), **MOMENTS, **changes})


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"NormalizedPolicy: expected images of 3 channels, got \(1, 29, 37\)"):
        NormalizedPolicy(NativePolicy((29, 37)), **MOMENTS).eval()(torch.zeros(1, 29, 37, dtype=torch.uint8))
