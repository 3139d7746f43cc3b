"""``report`` leaves the model alone, whatever its forward and its hooks write."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import resizenet as rn
from networks import Apply

LeftAlone = Callable[[nn.Module], AbstractContextManager[None]]


class Caching(nn.Module):
    """Keeps a grid of the last size, counts its calls and draws a number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.grid: Tensor | None = None
        self.seen: list[Tensor] = []
        self.last: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        torch.rand(3)
        if self.grid is None or self.grid.shape[-2:] != x.shape[-2:]:
            self.grid = torch.ones(x.shape[-2:], device=x.device)
        self.seen.append(x)
        self.last["x"] = x
        return self.conv(x * self.grid)


class Noisy(nn.Module):
    """Draws from a generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.generator = nn.Conv2d(3, 4, 3), torch.Generator().manual_seed(5)

    def forward(self, x: Tensor) -> Tensor:
        torch.rand(3, generator=self.generator)
        return self.conv(x)


def pruned(*methods: Callable[..., object]) -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    for method in methods:
        method(model[0], "weight", 0.3)
    return model


def normalized(norm: Callable[..., nn.Module]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the older ones
        return nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.ReLU())


def called(model: nn.Module, side: int) -> nn.Module:
    model(torch.rand(1, 3, side, side))
    return model


def with_gradients(model: nn.Module) -> nn.Module:
    model(torch.rand(2, 3, 9, 9)).sum().backward()
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "a cache": Caching,
    "a filled cache": lambda: called(Caching(), 17),
    "a generator": Noisy,
    "pruned": lambda: pruned(prune.l1_unstructured),
    "pruned twice": lambda: pruned(prune.l1_unstructured, prune.random_unstructured),
    "weight norm": lambda: normalized(torch.nn.utils.weight_norm),
    "spectral norm": lambda: normalized(torch.nn.utils.spectral_norm),
    "parametrized weight norm": lambda: normalized(parametrizations.weight_norm),
    "parametrized spectral norm": lambda: normalized(parametrizations.spectral_norm),
    "with gradients": lambda: with_gradients(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())),
}


@pytest.mark.parametrize("name", MODELS)
def test_tensors_attributes_hooks_modes_and_random_numbers_are_left_alone(name: str, left_alone: LeftAlone) -> None:
    model = MODELS[name]()
    generator = getattr(model, "generator", torch.default_generator)
    state = generator.get_state()
    with left_alone(model):
        assert rn.report(model, 32).macs == 30 * 30 * 4 * 3 * 9
    assert torch.equal(generator.get_state(), state)
    assert called(model, 32)


def test_pruning_a_second_time_adds_to_the_first() -> None:
    model = nn.Sequential(nn.Conv2d(3, 40, 5))
    for amount in (0.3, 0.3):
        prune.l1_unstructured(model[0], "weight", amount)
        rn.report(model, 32)
    share = (model[0].weight == 0).float().mean().item()
    assert share == pytest.approx(1 - 0.7 * 0.7, abs=1e-3)


def test_a_detector_that_cannot_be_traced_still_works(left_alone: LeftAlone) -> None:
    make = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn
    model = make(weights=None, weights_backbone=None, min_size=96, max_size=96).eval()
    message = r"FasterRCNN cannot be traced on one image without values: .*needs values"
    with left_alone(model), pytest.raises(rn.UnsupportedModelError, match=message):
        rn.report(model, 96)
    assert set(model([torch.rand(3, 96, 96)])[0]) == {"boxes", "labels", "scores"}


def test_a_failure_undoes_what_forward_wrote_before_it(left_alone: LeftAlone) -> None:
    model = nn.Sequential(Caching(), nn.Conv2d(5, 1, 1))
    with left_alone(model), pytest.raises(rn.ShapeError, match="cannot take an image of"):
        rn.report(model, 32)


def test_the_users_hooks_are_not_called(left_alone: LeftAlone) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    seen: list[object] = []

    def hook(*args: object) -> None:
        seen.append(args)

    model.register_forward_hook(hook)
    model[0].register_forward_hook(hook, with_kwargs=True, always_call=True)
    model[0].register_forward_pre_hook(hook)
    model[0].register_forward_pre_hook(hook, with_kwargs=True)
    model[1].register_full_backward_hook(hook)
    model[1].register_full_backward_pre_hook(hook)
    with left_alone(model):
        assert rn.report(model, 32).rows[0].output_map == (30, 30)
    assert seen == []
    model(torch.rand(1, 3, 32, 32)).sum().backward()
    assert len(seen) == 6


def test_what_a_replaced_forward_calls_of_the_model_is_not_traced(left_alone: LeftAlone) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    plain = model.forward
    model.forward = lambda x: plain(x)
    message = "a forward that was replaced calls the model instead of its copy"
    with left_alone(model), pytest.raises(rn.UnsupportedModelError, match=message):
        rn.report(model, 32)


def test_a_module_under_two_names_and_a_shared_weight_stay_shared(left_alone: LeftAlone) -> None:
    conv, other = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
    other.weight = conv.weight
    model = nn.Sequential(conv, conv, other)
    with left_alone(model):
        assert rn.report(model, 8).params == 81 + 3 + 3


class CopiesToItself(nn.Sequential):
    def __deepcopy__(self, memo: dict[int, object]) -> CopiesToItself:
        return self


class RefusesCopies(nn.Module):
    def __deepcopy__(self, memo: dict[int, object]) -> RefusesCopies:
        raise ValueError


def locked() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    model.lock = threading.Lock()
    return model


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates it
        return nn.Sequential(torch.jit.script(nn.Conv2d(3, 4, 3)))


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a lock": (
        locked,
        "traces a copy without values, and Sequential cannot be copied: cannot pickle '_thread.lock' object",
    ),
    "an error without a message": (
        RefusesCopies,
        "traces a copy without values, and RefusesCopies cannot be copied: ValueError at `raise ValueError`",
    ),
    "a copy that is the module": (
        lambda: nn.Sequential(CopiesToItself(nn.Conv2d(3, 4, 3))),
        "traces a copy without values, and a copy of Sequential shares modules with it",
    ),
    "a scripted module": (
        scripted,
        "Sequential is or contains a scripted module, which cannot be inspected; report the module that was scripted",
    ),
    "lazy modules": (
        lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d()),
        "Sequential has lazy modules, whose weights have no shape before the first call; call it once",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_copied_is_refused_with_the_reason(name: str) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(rn.UnsupportedModelError, match=f"^report: {reason}$"):
        rn.report(make(), 32)


def test_a_lazy_model_can_be_traced_once_it_was_called() -> None:
    model = called(nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d()), 9)
    assert rn.report(model, 32).rows[0].channels == 4


def test_a_history_on_a_cached_tensor_is_no_obstacle() -> None:
    model = Apply(lambda x, conv: conv(x), conv=nn.Conv2d(3, 4, 3))
    model.last = model(torch.rand(1, 3, 9, 9))
    assert rn.report(model, 32).rows[0].output_map == (30, 30)
