"""Test how models are copied, and which ones are refused before an operation changes or reads them."""

import copy
from collections.abc import Callable
from threading import Lock

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

import resizenet as rn
from resizenet._modules import check_model, check_parameters, copy_model


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def pruned(layer: nn.Linear) -> None:
    prune.l1_unstructured(layer, "weight", 0.5)


def weight_normed(layer: nn.Linear) -> None:
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(layer)


COMPUTED: dict[str, tuple[Callable[[nn.Linear], object], str]] = {
    "pruned weight": (pruned, "weight"),
    "pruned bias": (lambda layer: prune.l1_unstructured(layer, "bias", 0.5), "bias"),
    "weight norm by hooks": (weight_normed, "weight"),
    "spectral norm by hooks": (nn.utils.spectral_norm, "weight"),
    "weight norm": (parametrizations.weight_norm, "weight"),
    "a parametrized bias": (lambda layer: parametrize.register_parametrization(layer, "bias", Twice()), "bias"),
}


@pytest.mark.parametrize("kind", COMPUTED)
def test_weights_that_are_computed_are_found_and_can_be_copied(kind: str) -> None:
    change, name = COMPUTED[kind]
    layer, x = nn.Linear(5, 3), torch.rand(2, 5)
    check_parameters(layer, "fc", operation="adapt")
    change(layer)
    expected = layer.eval()(x)  # from now on some of them hold a tensor with a history
    with pytest.raises(
        rn.UnsupportedModelError, match=rf"^adapt: expected fc\.{name} to be a parameter, but it is comp"
    ):
        check_parameters(layer, "fc", operation="adapt")
    copied = copy_model(layer, operation="adapt")
    assert torch.equal(copied(x), expected)
    copied(x).sum().backward()
    assert all(parameter.grad is None for parameter in layer.parameters())
    assert all(parameter.grad is not None for parameter in copied.parameters())


def test_a_layer_without_a_bias_has_no_computed_one() -> None:
    check_parameters(nn.Linear(5, 3, bias=False), "fc", operation="adapt")
    check_parameters(nn.Identity(), "fc", operation="adapt")


def test_shared_tensors_stay_shared_in_a_copy_and_caches_keep_their_values() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    model.cache = [model(torch.rand(1, 3))]
    copied = copy_model(model, operation="adapt")
    assert copied[0].weight is copied[1].weight
    assert torch.equal(copied.cache[0], model.cache[0])
    assert copied.cache[0].grad_fn is None


class RefusesCopies:
    def __deepcopy__(self, memo: object) -> None:
        raise AssertionError


@pytest.mark.parametrize(("held", "reason"), [(Lock(), "cannot pickle '_thread"), (RefusesCopies(), "AssertionError$")])
def test_a_model_that_cannot_be_copied_is_refused_with_a_reason(held: object, reason: str) -> None:
    model = nn.Linear(3, 3)
    model.held = held
    with pytest.raises(rn.UnsupportedModelError, match=rf"^fuse: Linear cannot be copied: {reason}"):
        copy_model(model, operation="fuse")


def test_running_out_of_memory_is_not_the_fault_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: nn.Module) -> nn.Module:
        raise MemoryError

    monkeypatch.setattr(copy, "deepcopy", fail)
    with pytest.raises(MemoryError):
        copy_model(nn.Identity(), operation="fuse")


@pytest.mark.parametrize("model", ["resnet18", None, nn.Linear, torch.zeros(3), [nn.Identity()]])
def test_what_is_not_a_module_is_refused(model: object) -> None:
    with pytest.raises(rn.UnsupportedModelError, match=r"^adapt: expected a model that is a torch.nn.Module, got "):
        check_model(model, operation="adapt")


def test_lazy_modules_are_refused() -> None:
    with pytest.raises(rn.UnsupportedModelError, match=r"^adapt: Sequential has lazy modules, .*; call it once$"):
        check_model(nn.Sequential(nn.LazyLinear(3)), operation="adapt")


def test_sharded_models_are_refused(sharded: Callable[[nn.Module], nn.Module]) -> None:
    model = sharded(nn.Sequential(nn.Linear(3, 3)))
    message = r"^fuse: the parameters of FSDPSequential are sharded; call fuse before sharding$"
    with pytest.raises(rn.UnsupportedModelError, match=message):
        check_model(model, operation="fuse")
    with pytest.raises(rn.UnsupportedModelError, match=message):
        copy_model(model, operation="fuse")
    with pytest.raises(rn.UnsupportedModelError, match=message.replace("fuse", "report")):
        rn.report(model, 32)
