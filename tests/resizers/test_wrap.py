"""``ResizedModel``: behaves as the model does, with a resizer in front of it."""

import copy
import pickle

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import prune
from torchvision.models.feature_extraction import create_feature_extractor

from resizenet import (
    ArgumentError,
    FixedResizer,
    LinearResizer,
    ResizedModel,
    Resizer,
    UnsupportedModelError,
)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18().eval()


@pytest.fixture
def wrapped() -> ResizedModel:
    return Resizer((5, 7), channels=4).wrap(nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)))


def test_a_wrapped_resnet_gives_the_logits_of_the_resized_images(resnet: nn.Module) -> None:
    x = torch.rand(2, 3, 97, 131)
    resized = torchvision.transforms.v2.functional.resize(x, [61, 67], antialias=True)
    for resizer in (FixedResizer((61, 67)), Resizer((61, 67)).eval()):
        torch.testing.assert_close(
            resizer.wrap(resnet)(x), resnet(resized), rtol=0, atol=1e-5
        )  # the same kernels on the same numbers


def test_missing_attributes_are_the_models(resnet: nn.Module) -> None:
    model = FixedResizer(61).wrap(resnet)
    assert model.fc is resnet.fc
    assert model.layer1[0].conv1 is resnet.layer1[0].conv1
    with pytest.raises(AttributeError, match="no attribute 'head'"):
        _ = model.head


def test_setting_an_attribute_of_the_model_sets_it_there(resnet: nn.Module) -> None:
    model = FixedResizer(61).wrap(copy.deepcopy(resnet))
    model.fc = nn.Linear(512, 7)
    assert model.model.fc.out_features == 7
    assert "fc" not in model._modules
    assert model(torch.rand(1, 3, 67, 71)).shape == (1, 7)


def test_setting_anything_else_sets_it_here(wrapped: ResizedModel) -> None:
    wrapped.note = "mine"
    wrapped.training = False
    wrapped.resizer = FixedResizer(3)
    assert not hasattr(wrapped.model, "note")
    assert wrapped.model.training
    assert isinstance(wrapped.resizer, FixedResizer)


def test_modes_and_dtypes_reach_both_parts(wrapped: ResizedModel) -> None:
    wrapped.eval().double()
    assert not any(module.training for module in wrapped.modules())
    assert {p.dtype for p in wrapped.parameters()} == {torch.float64}


def test_state_dict_keys_say_which_part_they_belong_to(wrapped: ResizedModel) -> None:
    keys = set(wrapped.state_dict())
    assert {f"model.{key}" for key in wrapped.model.state_dict()} == {key for key in keys if key.startswith("model.")}
    assert {f"resizer.{key}" for key in wrapped.resizer.state_dict()} == {
        key for key in keys if key.startswith("resizer.")
    }
    assert all(key.startswith(("model.", "resizer.")) for key in keys)


def test_further_arguments_reach_the_model() -> None:
    class Scaled(nn.Module):
        def forward(self, x: torch.Tensor, factor: int, *, offset: int) -> torch.Tensor:
            return factor * x + offset

    out = FixedResizer((2, 3)).wrap(Scaled())(torch.ones(1, 1, 5, 7), 3, offset=4)
    torch.testing.assert_close(out, torch.full((1, 1, 2, 3), 7.0))


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "copy", "pickle"],
)
def test_a_copy_of_a_wrapped_traced_graph_keeps_its_resizer(
    resnet: nn.Module, duplicate
) -> None:  # a GraphModule has its own __deepcopy__
    model = FixedResizer((37, 41)).wrap(create_feature_extractor(resnet, ["layer1"]))
    twin = duplicate(model)
    assert type(twin) is ResizedModel
    assert twin(torch.rand(1, 3, 61, 67))["layer1"].shape == (1, 64, 10, 11)


def test_parameter_groups_split_rates_and_never_decay_vectors(wrapped: ResizedModel) -> None:
    groups = wrapped.parameter_groups(0.1, resizer_lr=0.01, weight_decay=5e-4)
    summary = [
        (group["name"], group["lr"], group["weight_decay"], {p.ndim for p in group["params"]}) for group in groups
    ]
    assert summary == [
        ("resizer", 0.01, 5e-4, {4}),
        ("resizer, no decay", 0.01, 0.0, {1}),
        ("model", 0.1, 5e-4, {4}),
        ("model, no decay", 0.1, 0.0, {1}),
    ]
    ids = [id(p) for group in groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in wrapped.parameters())


def test_parameter_groups_leave_out_what_is_frozen_and_give_the_resizer_a_tenth_unless_told(
    wrapped: ResizedModel,
) -> None:
    wrapped.resizer.requires_grad_(False)
    wrapped.model[0].weight.requires_grad_(False)
    assert [(group["name"], group["lr"], group["weight_decay"]) for group in wrapped.parameter_groups(0.3)] == [
        ("model, no decay", 0.3, 0.0)
    ]
    wrapped.resizer.tail.weight.requires_grad_(True)
    assert [group["lr"] for group in wrapped.parameter_groups(0.3)] == [pytest.approx(0.03), 0.3]


def test_a_linear_resizer_learns_at_the_rate_of_the_model() -> None:
    groups = LinearResizer(8).wrap(nn.Linear(8, 2)).parameter_groups(0.3)
    assert {group["name"]: group["lr"] for group in groups} == {
        "resizer": 0.3,
        "resizer, no decay": 0.3,
        "model": 0.3,
        "model, no decay": 0.3,
    }


@pytest.mark.parametrize("name", ["lr", "resizer_lr", "weight_decay"])
def test_rates_that_are_no_numbers_are_named(wrapped: ResizedModel, name: str) -> None:
    with pytest.raises(ArgumentError, match=f"{name}: expected a number at least 0, got 'fast'"):
        wrapped.parameter_groups(**{"lr": 0.1, name: "fast"})


@pytest.mark.parametrize("parts", [(FixedResizer(7), "resnet18"), (None, nn.Identity())])
def test_parts_that_are_no_modules_are_named(parts: tuple[object, object]) -> None:
    with pytest.raises(UnsupportedModelError, match=r"^ResizedModel: expected a model that is a "):
        ResizedModel(*parts)


def test_a_pruned_model_is_fused_after_a_call(wrapped: ResizedModel) -> None:
    prune.random_unstructured(wrapped.eval().model[0], "weight", 0.5)
    x = torch.rand(2, 3, 11, 13)
    torch.testing.assert_close(wrapped.fuse()(x), wrapped(x))


def test_an_optimizer_takes_the_groups(wrapped: ResizedModel) -> None:
    optimizer = torch.optim.SGD(wrapped.parameter_groups(0.1))
    before = wrapped.resizer.tail.bias.clone()
    wrapped(torch.rand(2, 3, 11, 13)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(wrapped.resizer.tail.bias, before)
