"""The experiments: their arms, recipes and networks, and the features of frozen networks."""

from collections.abc import Iterator

import pytest
import torch
import torchvision
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from benchmarks.accuracy import _docs
from benchmarks.accuracy._data import ImageData
from benchmarks.accuracy._experiments import EXPERIMENTS, versions
from benchmarks.accuracy._families import convnext_tiny, efficientnet_b0
from benchmarks.accuracy._networks import SpaceToDepthResizer
from benchmarks.accuracy._train import Recipe, parameter_groups
from benchmarks.accuracy._transfer import LiteFeatures, extract
from torch import nn

import resizenet as rn


def test_the_longest_prefix_decides_the_learning_rate() -> None:
    resizer = nn.ModuleDict({"tail": nn.Linear(2, 2), "head": nn.Linear(2, 3)})
    model = nn.ModuleDict({"resizer": resizer, "model": nn.Linear(2, 4)})
    groups = parameter_groups(model, Recipe(lr=1.0, lr_ratios={"resizer.": 0.1, "resizer.tail.": 0.01}))
    widths = {group["lr"]: [len(parameter) for parameter in group["params"]] for group in groups}
    assert widths == {0.01: [2, 2], 0.1: [3, 3], 1.0: [4, 4]}


def test_the_space_to_depth_resizer_starts_as_the_fixed_one_at_any_size() -> None:
    resizer, images = SpaceToDepthResizer(16), torch.rand(2, 3, 37, 53)
    assert sum(parameter.numel() for parameter in resizer.parameters()) == 4387
    assert torch.equal(resizer(images), rn.FixedResizer(16)(images))
    assert resizer(images, (5, 7)).shape == (2, 3, 5, 7)
    nn.init.ones_(resizer.tail.bias)
    torch.testing.assert_close(resizer(images), rn.FixedResizer(16)(images) + 1)


def test_every_experiment_has_a_page_and_every_reference_is_an_arm() -> None:
    assert set(_docs.PAGES) == set(EXPERIMENTS)
    for _, _, experiment in versions():
        assert experiment.reference is None or experiment.reference in experiment.arms
        assert all(arm.start is None or arm.start in experiment.arms for arm in experiment.arms.values())


NETWORKS = [
    "stem_by_resolution",
    "resnet50_fix",
    "shape",
    "learned_resizer",
    "crop_policy",
    "fold_transfer",
    "stem_weights",
    "adapt_families",
]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_small_arm_makes_ten_logits(name: str) -> None:
    for arm in EXPERIMENTS[name]["small"].arms.values():
        recipe = Recipe(**arm.recipe)
        with torch.inference_mode():
            images = torch.rand(1, 3, *[recipe.upscale or 32] * 2)
            assert arm.change(arm.make()).eval()(images).shape == (1, 10)


@pytest.mark.parametrize(("name", "version"), [("learned_resizer", "trained"), ("several_sizes", "full")])
def test_every_arm_with_airnet_makes_ten_logits(name: str, version: str) -> None:
    for arm in EXPERIMENTS[name][version].arms.values():
        with torch.inference_mode():
            assert arm.make().eval()(torch.rand(1, 3, 32, 32)).shape == (1, 10)


def test_adapted_networks_of_other_families_have_a_last_map_of_4x4_and_the_others_one_position() -> None:
    for name, arm in EXPERIMENTS["adapt_families"]["small"].arms.items():
        expected = (4, 4) if name.endswith("adapted") else (1, 1)
        assert rn.report(arm.make(), 32).final.output_map == expected, name


def test_at_full_width_the_networks_are_torchvisions() -> None:
    with torch.device("meta"):
        pairs = [
            (efficientnet_b0(1.0), torchvision.models.efficientnet_b0(num_classes=10)),
            (convnext_tiny(96), torchvision.models.convnext_tiny(num_classes=10)),
        ]
    for ours, theirs in pairs:
        shapes = [{name: value.shape for name, value in model.state_dict().items()} for model in (ours, theirs)]
        assert shapes[0] == shapes[1]


def macs(name: str, arm: str, *, version: str = "small") -> int:
    found = EXPERIMENTS[name][version].arms[arm]
    return rn.report(found.make(), found.recipe.get("upscale") or 32).macs


def test_the_wider_control_costs_what_the_resizer_and_its_network_cost() -> None:
    arms = ("fixed resize, wider network of equal MACs", "Resizer, BatchNorm, lr x 1")
    wide, resizer = (macs("learned_resizer", arm) for arm in arms)
    assert wide == pytest.approx(resizer, rel=0.01)


def test_the_pair_of_equal_cost_is_in_the_table_of_stems() -> None:
    arms = ("small stem, 32 px", "ImageNet stem, 128 px")
    small, upscaled = (macs("stem_by_resolution", arm, version="full") for arm in arms)
    assert small == 555_422_720
    assert upscaled == pytest.approx(592e6, rel=0.001)  # torchvision's resnet18 at 128 px
    ratio = small / macs("stem_by_resolution", "small stem, 32 px")
    assert 14 < ratio < 17  # the small version does a sixteenth of the work


class MeanColors(nn.Module):
    """(B, 3, H, W) -> the mean of each channel, which no size changes."""

    mean_and_std = (0.5, 0.25, 0.0), (0.5, 0.5, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[2:] == (64, 64)
        return self.scale * x.mean((2, 3))


@pytest.fixture
def _accelerator() -> Iterator[None]:
    """Decide the precision, as the command does; Accelerate would refuse another one to the tests that follow."""
    Accelerator(cpu=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("_accelerator")
def test_features_are_those_of_the_upscaled_images_standardized_over_the_training_set() -> None:
    train, test = (torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8) for count in (300, 10))
    train[:, 1] //= 2
    found = extract(MeanColors, 64, ImageData(train, torch.arange(300), test, torch.arange(10)))
    mean, std = (torch.tensor(values) for values in MeanColors.mean_and_std)
    features, tests = (((images / 255).mean((2, 3)) - mean) / std for images in (train, test))
    torch.testing.assert_close(found.x_test, (tests - features.mean(0)) / features.std(0), atol=0.05, rtol=0)
    torch.testing.assert_close(found.x_train.std(0), torch.ones(3), atol=1e-3, rtol=0)
    assert found.y_train.tolist() == list(range(300))


@pytest.mark.slow
def test_the_packaged_network_takes_every_size() -> None:
    model = LiteFeatures().eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_652_008  # 4.7 M, as published
    with torch.inference_mode():
        assert [model(torch.rand(1, 3, size, size)).shape for size in (32, 64, 128, 224)] == [(1, 1280)] * 4
