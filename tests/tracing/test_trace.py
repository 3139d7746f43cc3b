"""``report`` leaves the model alone, whatever its forward and its hooks write, and traces what can be traced."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import resizenet as rn


def tensors_in(value: object, seen: set[int] | None = None) -> Iterator[Tensor]:
    """Every tensor that a model holds: parameters, buffers, attributes, in lists and dicts, in other objects."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for inside in value.values():
            yield from tensors_in(inside, seen)
    elif isinstance(value, list | tuple | set):
        for inside in value:
            yield from tensors_in(inside, seen)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from tensors_in(vars(value), seen)


def gradient(tensor: Tensor) -> Tensor | None:
    return tensor.grad if tensor.is_leaf else None


@contextmanager
def left_alone(model: nn.Module) -> Iterator[None]:
    """The same tensors with the same values, the same attributes, hooks and modes, and torch's random numbers where they were."""
    held = [
        (tensor, tensor._version, tensor.detach().clone(), tensor.requires_grad, gradient(tensor))
        for tensor in tensors_in(model)
    ]
    attributes = {name: dict(vars(module)) for name, module in model.named_modules()}
    dicts = {
        name: {key: list(value.items()) for key, value in vars(module).items() if isinstance(value, dict)}
        for name, module in model.named_modules()
    }
    state = torch.get_rng_state()
    yield
    after = list(tensors_in(model))
    assert [id(tensor) for tensor in after] == [id(tensor) for tensor, *_ in held]
    for tensor, version, values, requires_grad, grad in held:
        assert (tensor._version, tensor.requires_grad, gradient(tensor) is grad) == (version, requires_grad, True)
        assert torch.equal(tensor.detach(), values)
    for name, module in model.named_modules():
        assert vars(module).keys() == attributes[name].keys()
        assert all(value is attributes[name][key] for key, value in vars(module).items())
        assert {key: list(value.items()) for key, value in vars(module).items() if isinstance(value, dict)} == dicts[
            name
        ]
    assert torch.equal(torch.get_rng_state(), state)


class Caching(nn.Module):
    """Keeps a grid of the size that it saw last, counts its calls and draws a number."""

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


def pruned() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    prune.l1_unstructured(model[0], "weight", 0.3)
    return model


def pruned_twice() -> nn.Module:
    model = pruned()
    prune.random_unstructured(model[0], "weight", 0.5)
    return model


def normalised(norm: Callable[..., nn.Module]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that there are newer ones
        return nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.ReLU())


MODELS: dict[str, Callable[[], nn.Module]] = {
    "a cache": Caching,
    "a filled cache": lambda: called(Caching(), 17),
    "pruned": pruned,
    "pruned twice": pruned_twice,
    "weight norm": lambda: normalised(torch.nn.utils.weight_norm),
    "spectral norm": lambda: normalised(torch.nn.utils.spectral_norm),
    "parametrised weight norm": lambda: nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.ReLU()),
    "parametrised spectral norm": lambda: nn.Sequential(parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)), nn.ReLU()),
    "with gradients": lambda: with_gradients(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())),
}


def called(model: nn.Module, side: int) -> nn.Module:
    model(torch.rand(1, 3, side, side))
    return model


def with_gradients(model: nn.Module) -> nn.Module:
    model(torch.rand(2, 3, 9, 9)).sum().backward()
    return model


@pytest.mark.parametrize("name", MODELS)
def test_tensors_attributes_hooks_modes_and_random_numbers_are_left_alone(name: str) -> None:
    model = MODELS[name]()
    with left_alone(model):
        found = rn.report(model, 32)
    assert found.macs == 30 * 30 * 4 * 3 * 9
    assert all(tensor.device.type == "cpu" for tensor in tensors_in(model))
    assert called(model, 32)


def test_pruning_a_second_time_adds_to_the_first() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 40, 5))
    for amount in (0.3, 0.3):
        prune.l1_unstructured(model[0], "weight", amount)
        rn.report(model, 32)
    share = (model[0].weight == 0).float().mean().item()
    assert share == pytest.approx(1 - 0.7 * 0.7, abs=1e-3)


def detector() -> nn.Module:
    make = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn
    return make(weights=None, weights_backbone=None, min_size=96, max_size=96).eval()


def test_a_detector_that_cannot_be_traced_still_works() -> None:
    model = detector()
    with (
        left_alone(model),
        pytest.raises(
            rn.UnsupportedModelError, match=r"FasterRCNN cannot be traced on one image without values: .*needs values"
        ),
    ):
        rn.report(model, 96)
    assert set(model([torch.rand(3, 96, 96)])[0]) == {"boxes", "labels", "scores"}


def test_a_failure_leaves_what_forward_wrote_before_it() -> None:
    model = nn.Sequential(Caching(), nn.Conv2d(5, 1, 1))
    with left_alone(model), pytest.raises(rn.ShapeError, match="cannot take an image of"):
        rn.report(model, 32)


def test_the_users_hooks_are_not_called() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    seen: list[object] = []
    model.register_forward_hook(lambda module, args, output: seen.append(output.mean().item()))
    model[0].register_forward_hook(
        lambda module, args, kwargs, output: seen.append(output), with_kwargs=True, always_call=True
    )
    model[0].register_forward_pre_hook(lambda module, args: seen.append(args))
    model[0].register_forward_pre_hook(lambda module, args, kwargs: seen.append(args), with_kwargs=True)
    model[1].register_full_backward_hook(lambda module, before, after: seen.append(before))
    model[1].register_full_backward_pre_hook(lambda module, after: seen.append(after))
    with left_alone(model):
        assert rn.report(model, 32).rows[0].output_map == (30, 30)
    assert seen == []
    model(torch.rand(1, 3, 32, 32)).sum().backward()
    assert len(seen) == 6


class Noisy(nn.Module):
    """Draws from a generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.generator = nn.Conv2d(3, 4, 3), torch.Generator().manual_seed(5)

    def forward(self, x: Tensor) -> Tensor:
        torch.rand(3, generator=self.generator)
        return self.conv(x)


def test_a_generator_stays_where_it_was() -> None:
    model = Noisy()
    state = model.generator.get_state()
    with left_alone(model):
        assert rn.report(model, 32).rows[0].output_map == (30, 30)
    assert torch.equal(model.generator.get_state(), state)


class Unique(nn.Sequential):
    """A copy of it is itself."""

    def __deepcopy__(self, memo: dict[int, object]) -> Unique:
        return self


def locked() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    model.lock = threading.Lock()
    return model


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (locked, "Sequential cannot be copied: cannot pickle '_thread.lock' object"),
        (lambda: nn.Sequential(Unique(nn.Conv2d(3, 4, 3))), "a copy of Sequential shares modules with it"),
    ],
)
def test_a_model_that_cannot_be_copied_is_refused(make: Callable[[], nn.Module], reason: str) -> None:
    model = make()
    with (
        left_alone(model),
        pytest.raises(rn.UnsupportedModelError, match=f"^report: traces a copy without values, and {reason}$"),
    ):
        rn.report(model, 32)


def test_a_scripted_module_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that there are newer ways
        scripted = torch.jit.script(nn.Conv2d(3, 4, 3))
    with pytest.raises(
        rn.UnsupportedModelError,
        match=r"^report: Sequential is or contains a scripted module, .*; report the module that was scripted$",
    ):
        rn.report(nn.Sequential(scripted), 32)


def test_a_module_under_two_names_and_a_shared_weight_stay_shared() -> None:
    conv, other = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
    other.weight = conv.weight
    model = nn.Sequential(conv, conv, other)
    with left_alone(model):
        assert rn.report(model, 8).params == 81 + 3 + 3
    assert model[0] is model[1]
    assert model[0].weight is model[2].weight


# --- what can be traced and what cannot


class Doing(nn.Module):
    """A convolution, and something with its output or its module."""

    def __init__(self, then: Callable[[Any, Tensor], object]) -> None:
        super().__init__()
        self.conv, self.then = nn.Conv2d(3, 4, 3), then
        self.mean = torch.full((1, 4, 1, 1), 0.5)
        self.constants = {"scales": [torch.rand(30, 30)]}

    def forward(self, x: Tensor) -> Any:
        return self.then(self, self.conv(x))


SCALE = torch.full((30,), 0.25)
TRACED: dict[str, Callable[[Doing, Tensor], object]] = {
    "a plain tensor": lambda self, x: x - self.mean,
    "a tensor in a list in a dict": lambda self, x: x * self.constants["scales"][0],
    "a tensor of the module's file": lambda self, x: x * SCALE,
    "a tensor made in forward": lambda self, x: x * torch.rand(30, 30) + torch.tensor(0.5),
    "the values of a tensor made in forward": lambda self, x: x * int(torch.arange(4).sum()),
    "a tensor made for a device": lambda self, x: x + torch.zeros(30, device="cpu"),
}


@pytest.mark.parametrize("name", TRACED)
def test_tensors_that_are_neither_parameters_nor_buffers_are_no_obstacle(name: str) -> None:
    model = nn.Sequential(Doing(TRACED[name]), nn.Identity())
    with left_alone(model):
        row = rn.report(model, 32).rows[-1]
    assert row.channels == model(torch.rand(1, 3, 32, 32)).shape[1]
    assert (row.output_map, row.receptive_field) == ((30, 30), (3, 3))


class Token(nn.Module):
    """A learned token that goes through a layer by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.norm, self.linear = nn.Parameter(torch.zeros(1, 5, 4)), nn.Identity(), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(self.token.expand(len(x), -1, -1))) + x.mean()


def test_a_view_of_a_parameter_that_is_a_modules_input_is_no_obstacle() -> None:
    model = Token()
    with left_alone(model):
        assert rn.report(model, 32).macs == 5 * 4 * 3


@pytest.mark.parametrize("indices", [[2, 0], [True, False, True, False]], ids=["indices", "mask"])
def test_indexing_with_values_is_no_obstacle(indices: list[int]) -> None:
    model = nn.Sequential(Doing(lambda self, x: x[:, torch.tensor(indices)]), nn.Conv2d(2, 5, 1))
    assert rn.report(model, 32).macs == 30 * 30 * (4 * 3 * 9 + 2 * 5)


UNTRACED: dict[str, tuple[Callable[[Doing, Tensor], object], str]] = {
    "a branch": (lambda self, x: x if x.max() > 1 else -x, "aten._local_scalar_dense needs values"),
    "a number": (lambda self, x: x * x.max().item(), "aten._local_scalar_dense needs values"),
    "a comparison": (lambda self, x: x if torch.equal(x, x) else -x, "aten.equal needs values"),
    "a mask": (lambda self, x: x[x > 0], "aten.index needs values"),
    "indices": (lambda self, x: x.nonzero(), "aten.nonzero needs values"),
    "another device": (lambda self, x: x.cpu(), "NotImplementedError: Cannot copy out of meta tensor; no data!"),
    "NumPy": (lambda self, x: x.numpy(), "TypeError: can't convert meta device type tensor to numpy"),
    "a list": (lambda self, x: x.tolist(), "NotImplementedError: Cannot copy out of meta tensor; no data!"),
    "a missing argument": (lambda self, x, y: x, "TypeError: .* missing 1 required positional argument: 'y'"),
    "a dict": (lambda self, x: x["image"], "IndexError: too many indices for tensor of dimension 4"),
    "a key": (lambda self, x: {}["image"], "KeyError: 'image'"),
    "an attribute": (lambda self, x: x.image, "AttributeError: 'Tensor' object has no attribute 'image'"),
    "no forward": (
        lambda self, x: nn.ModuleList()(x),
        'NotImplementedError: Module \\[ModuleList\\] is missing the required "forward" function',
    ),
}


@pytest.mark.parametrize("name", UNTRACED)
def test_what_cannot_be_traced_is_said_with_the_reason_in_one_line(name: str) -> None:
    then, reason = UNTRACED[name]
    model = Doing(then)
    with (
        left_alone(model),
        pytest.raises(
            rn.UnsupportedModelError, match=f"^report: Doing cannot be traced on one image without values: .*{reason}"
        ) as caught,
    ):
        rn.report(model, 32)
    assert "\n" not in str(caught.value)


def test_what_a_forward_calls_beyond_its_model_is_not_traced() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    plain = model.forward
    model.forward = lambda x: plain(x)
    with (
        left_alone(model),
        pytest.raises(
            rn.UnsupportedModelError, match="a forward that was replaced calls the model instead of its copy"
        ),
    ):
        rn.report(model, 32)


def test_a_lazy_module_is_to_be_called_first() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
    with pytest.raises(
        rn.UnsupportedModelError,
        match=r"^report: Sequential has lazy modules, whose weights have no shape before the first call; call it once$",
    ):
        rn.report(model, 32)
    assert rn.report(called(model, 9), 32).rows[0].channels == 4


def test_a_quantised_model_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that there are newer ways
        model = torch.ao.quantization.quantize_dynamic(
            nn.Sequential(nn.Flatten(), nn.Linear(27, 2)), {nn.Linear}, dtype=torch.qint8
        )
        with pytest.raises(
            rn.UnsupportedModelError, match=r"^report: Sequential cannot be traced .*quantized::linear_dynamic"
        ):
            rn.report(model, 3)
        assert model(torch.rand(1, 3, 3, 3)).shape == (1, 2)


@pytest.mark.parametrize(
    "module",
    [nn.Conv2d(3, 4, 9), nn.Conv2d(4, 4, 3), nn.Sequential(nn.Flatten(), nn.Linear(100, 2)), nn.ReflectionPad2d(8)],
    ids=str,
)
def test_an_image_that_does_not_fit_is_a_shape_error(module: nn.Module) -> None:
    with pytest.raises(rn.ShapeError, match=r"^report: .* cannot take an image of \(3, 7, 8\): "):
        rn.report(nn.Sequential(module), (7, 8))


def test_a_wrapper_for_several_devices_is_looked_through() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert rn.report(nn.DataParallel(model), 32) == rn.report(model, 32)


def test_a_wrapper_for_several_processes_is_looked_through() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        assert rn.report(nn.parallel.DistributedDataParallel(model), 32) == rn.report(model, 32)
    finally:
        torch.distributed.destroy_process_group()
