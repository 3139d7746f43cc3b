"""Policies and ``ResizeToCover``: shapes in training and evaluation, the ratio of apparent sizes, and dataclass manners."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from resizenet import ArgumentError, SizeError, UnknownNameError
from resizenet.transforms import NativePolicy, RandomResizedCropPolicy, ResizePolicy, ResizeToCover, UpscalePolicy
from strategies import sizes

POLICIES = {
    "native": NativePolicy((29, 37), padding=3),
    "native, no padding": NativePolicy((29, 37), padding=0),
    "upscale": UpscalePolicy((61, 53)),
    "upscale, nearest": UpscalePolicy(41, interpolation="nearest-exact"),
    "crop": RandomResizedCropPolicy((23, 31), scale=(0.7, 1), eval_size=(19, 17), crop_pct=0.9),
    "crop, bicubic": RandomResizedCropPolicy(31, scale=(0.8, 1), interpolation="bicubic"),
}
SIZES = {name: (policy.train_size, policy.eval_size) for name, policy in POLICIES.items()}
EACH = pytest.mark.parametrize("name", POLICIES)


def image(height: int = 29, width: int = 37) -> Tensor:
    return torch.randint(256, (3, height, width), dtype=torch.uint8)


# --- shapes


def test_the_sizes_are_those_that_were_asked_for() -> None:
    assert SIZES == {
        "native": ((29, 37), (29, 37)),
        "native, no padding": ((29, 37), (29, 37)),
        "upscale": ((61, 53), (61, 53)),
        "upscale, nearest": ((41, 41), (41, 41)),
        "crop": ((23, 31), (19, 17)),
        "crop, bicubic": ((31, 31), (31, 31)),
    }


@EACH
@pytest.mark.parametrize("split", [0, 1], ids=["train", "eval"])
def test_tensors_get_the_size(name: str, split: int) -> None:
    policy = POLICIES[name]
    transform = (policy.train, policy.eval)[split]()
    assert isinstance(transform, v2.Transform)
    assert transform(image()).shape == (3, *SIZES[name][split])
    assert transform(torch.rand(2, 5, 29, 37)).shape == (2, 5, *SIZES[name][split])


@EACH
@pytest.mark.parametrize("split", [0, 1], ids=["train", "eval"])
def test_pil_images_get_the_size(name: str, split: int) -> None:
    out = (POLICIES[name].train, POLICIES[name].eval)[split]()(Image.fromarray(np.zeros((29, 37, 3), np.uint8)))
    assert isinstance(out, Image.Image)
    assert out.size == SIZES[name][split][::-1]


@EACH
@pytest.mark.parametrize("split", [0, 1], ids=["train", "eval"])
def test_masks_boxes_and_labels_follow_the_image(name: str, split: int) -> None:
    pixels = torch.zeros(3, 29, 37, dtype=torch.uint8)
    pixels[:, 12:17, 15:22] = 255
    mask = tv_tensors.Mask((pixels[:1] > 0).to(torch.uint8))
    box = tv_tensors.BoundingBoxes(torch.tensor([[15.0, 12, 22, 17]]), format="XYXY", canvas_size=(29, 37))
    sample = {"image": tv_tensors.Image(pixels), "mask": mask, "boxes": box, "label": 7}
    torch.manual_seed(3)
    out = (POLICIES[name].train, POLICIES[name].eval)[split]()(sample)
    size = SIZES[name][split]
    assert out["image"].shape[-2:] == out["mask"].shape[-2:] == out["boxes"].canvas_size == size
    assert out["label"] == 7
    inside = (out["image"][0] > 127).nonzero().float()
    left, top, right, bottom = out["boxes"][0].tolist()
    assert [top, left] == pytest.approx(inside.amin(0).tolist(), abs=1.5)  # a pixel of blur at each edge
    assert [bottom, right] == pytest.approx((inside.amax(0) + 1).tolist(), abs=1.5)
    assert ((out["mask"][0] > 0) == (out["image"][0] > 127)).float().mean() > 0.95


@EACH
def test_evaluation_is_deterministic_and_training_is_seeded_by_torch(name: str) -> None:
    x = image()
    evaluate, train = POLICIES[name].eval(), POLICIES[name].train()
    assert torch.equal(evaluate(x), evaluate(x))
    draws = []
    for seed in (5, 5, *range(10)):
        torch.manual_seed(seed)
        draws.append(train(x))
    assert torch.equal(draws[0], draws[1])
    assert any(not torch.equal(draw, draws[0]) for draw in draws) == (name not in {"native, no padding"})


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


def test_the_crop_policy_evaluates_the_centre_of_the_covering_resize() -> None:
    x = torch.arange(64.0).expand(1, 64, 64)
    out = RandomResizedCropPolicy(32, crop_pct=0.5).eval()(x)  # to 64, so that nothing is resized, then the middle
    assert torch.equal(out, x[:, 16:48, 16:48])


# --- conventions


@pytest.mark.parametrize(("before", "after"), [((20, 25), (10, 13)), ((25, 20), (13, 10)), ((29, 37), (10, 13)), ((7, 500), (10, 714))])
def test_convention_the_longer_side_is_rounded_half_up_and_covers(before: tuple[int, int], after: tuple[int, int]) -> None:
    assert ResizeToCover(10)(image(*before)).shape[-2:] == after


def test_convention_torchvision_floors_the_longer_side() -> None:
    assert v2.functional.resize(image(20, 25), [10]).shape[-2:] == (10, 12)


@given(sizes, sizes)
def test_covering_images_can_be_cropped_to_the_target(before: tuple[int, int], target: tuple[int, int]) -> None:
    out = ResizeToCover(target)(torch.zeros(1, *before))
    assert out.shape[-2] >= target[0]
    assert out.shape[-1] >= target[1]


def test_convention_the_scale_of_a_crop_is_a_share_of_the_area() -> None:
    crop = RandomResizedCropPolicy(32, scale=(0.8, 1), ratio=(1, 1)).train()
    sides = [crop.make_params([torch.zeros(3, 32, 32)])["height"] for _ in range(300)]
    assert (min(sides), max(sides)) == (29, 32)  # sqrt(0.8) * 32 = 28.6; a share of the side would reach 26


def test_convention_images_are_antialiased_unless_told() -> None:
    x = torch.zeros(1, 8, 8)
    x[:, 3, 3] = 64
    assert ResizeToCover(4)(x)[0, 1, 1] == 9  # (3 / 8)^2 * 64
    assert ResizeToCover(4, antialias=False)(x)[0, 1, 1] == 16


# --- apparent size

RATIOS = {  # FACTS, section 6
    "classic 224": (RandomResizedCropPolicy(224), 0.809),
    "torchvision V2": (RandomResizedCropPolicy(176, eval_size=224, crop_pct=224 / 232), 0.934),
    "timm 288, crop 1.0": (RandomResizedCropPolicy(224, eval_size=288, crop_pct=1.0), 0.911),
    "timm 288, crop 0.95": (RandomResizedCropPolicy(224, eval_size=288, crop_pct=0.95), 0.959),
    "EfficientNetV2-S": (RandomResizedCropPolicy(300, eval_size=384, crop_pct=1.0), 0.907),
    "CIFAR, 0.08": (RandomResizedCropPolicy(32, crop_pct=1.0), 0.708),
    "CIFAR, 0.8": (RandomResizedCropPolicy(32, scale=(0.8, 1), crop_pct=1.0), 0.948),
    "CIFAR, pad 4": (NativePolicy(32), 1.0),
    "upscaled": (UpscalePolicy(224), 1.0),
}


@pytest.mark.parametrize("recipe", RATIOS)
def test_known_recipes_have_the_known_ratio(recipe: str) -> None:
    policy, ratio = RATIOS[recipe]
    assert policy.apparent_size_ratio() == pytest.approx(ratio, abs=1.1e-3)  # three decimals, from 303.16 px where an image has 303


def test_one_scale_only_has_its_square_root_as_the_ratio() -> None:
    assert RandomResizedCropPolicy(32, scale=(0.25, 0.25), crop_pct=1.0).apparent_size_ratio() == pytest.approx(0.5)


def test_the_ratio_is_what_objects_show() -> None:
    policy = RandomResizedCropPolicy(64, scale=(0.3, 0.9), ratio=(1, 1), crop_pct=0.8)
    crops = [policy.train().make_params([torch.zeros(1, 500, 500)])["height"] for _ in range(1000)]
    ratios = [(80 / 500) / (64 / crop) for crop in crops]  # how much evaluation enlarges the image, over how much training enlarges the crop
    assert policy.apparent_size_ratio() == pytest.approx(np.mean(ratios), rel=0.02)  # 1000 draws: a standard error of 0.5 %


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


def test_equal_arguments_make_equal_policies() -> None:
    assert UpscalePolicy(7) == UpscalePolicy([7, 7]) != UpscalePolicy((7, 11))
    assert RandomResizedCropPolicy(7, scale=[0.5, 1]) == RandomResizedCropPolicy((7, 7), scale=(0.5, 1), eval_size=7)
    assert repr(NativePolicy(7)) == "NativePolicy(size=(7, 7), padding=4)"


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"policy": "UpscalPolicy", "size": 7}, UnknownNameError, "policy: expected one of .* did you mean 'UpscalePolicy'"),
        ({"size": 7}, UnknownNameError, "policy: expected one of .* got None"),
        ({"policy": "NativePolicy", "size": 7, "margin": 1}, ArgumentError, "NativePolicy: .*unexpected keyword argument 'margin'"),
        ({"policy": "NativePolicy"}, ArgumentError, "NativePolicy: .*missing .*'size'"),
        ({"policy": "NativePolicy", "size": 0}, SizeError, "size: expected an int"),
    ],
)
def test_a_bad_dict_says_what_is_wrong_and_stays_as_it_was(values: dict[str, object], error: type[Exception], message: str) -> None:
    before = dict(values)
    with pytest.raises(error, match=message):
        ResizePolicy.from_dict(values)
    assert values == before


def test_a_policy_of_ones_own_must_have_both_transforms() -> None:
    class Mine(ResizePolicy):
        pass

    for missing in ("train", "eval"):
        with pytest.raises(NotImplementedError, match=f"Mine must implement {missing}"):
            getattr(Mine(), missing)()
    with pytest.raises(NotImplementedError, match="Mine must implement train_size"):
        _ = Mine().eval_size


def test_the_transform_prints_its_arguments() -> None:
    assert repr(ResizeToCover(7)) == "ResizeToCover(size=(7, 7), interpolation='bilinear', antialias=True)"
