"""``report`` traces what can be traced without values, and says in one line why something else cannot."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import resizenet as rn

LeftAlone = Callable[[nn.Module], AbstractContextManager[None]]


class Then(nn.Module):
    """A convolution, and a function of its output that may use this module's tensors."""

    def __init__(self, function: Callable[[Any, Tensor], object]) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 3), function
        self.mean = torch.full((1, 4, 1, 1), 0.5)
        self.constants = {"scales": [torch.rand(30, 30)]}

    def forward(self, x: Tensor) -> Any:
        return self.function(self, self.conv(x))


SCALE = torch.full((30,), 0.25)
TRACED: dict[str, Callable[[Then, Tensor], object]] = {
    "a plain tensor": lambda self, x: x - self.mean,
    "a tensor in a list in a dict": lambda self, x: x * self.constants["scales"][0],
    "a tensor of the module's file": lambda self, x: x * SCALE,
    "a tensor made in forward": lambda self, x: x * torch.rand(30, 30) + torch.tensor(0.5),
    "the values of a tensor made in forward": lambda self, x: x * int(torch.arange(4).sum()),
    "a tensor made for a device": lambda self, x: x + torch.zeros(30, device="cpu"),
}


@pytest.mark.parametrize("name", TRACED)
def test_tensors_that_are_neither_parameters_nor_buffers_are_no_obstacle(name: str, left_alone: LeftAlone) -> None:
    model = nn.Sequential(Then(TRACED[name]), nn.Identity())
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


def test_a_view_of_a_parameter_as_a_modules_input_is_no_obstacle(left_alone: LeftAlone) -> None:
    model = Token()
    with left_alone(model):
        assert rn.report(model, 32).macs == 5 * 4 * 3


@pytest.mark.parametrize("indices", [[2, 0], [True, False, True, False]], ids=["indices", "mask"])
def test_indexing_with_values_is_no_obstacle(indices: list[int]) -> None:
    model = nn.Sequential(Then(lambda self, x: x[:, torch.tensor(indices)]), nn.Conv2d(2, 5, 1))
    assert rn.report(model, 32).macs == 30 * 30 * (4 * 3 * 9 + 2 * 5)


UNTRACED: dict[str, tuple[Callable[[Then, Tensor], object], str]] = {
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
def test_what_cannot_be_traced_is_refused_with_the_reason_in_one_line(name: str, left_alone: LeftAlone) -> None:
    function, reason = UNTRACED[name]
    model = Then(function)
    message = f"^report: Then cannot be traced on one image without values: .*{reason}"
    with left_alone(model), pytest.raises(rn.UnsupportedModelError, match=message) as caught:
        rn.report(model, 32)
    assert "\n" not in str(caught.value)


def test_a_quantized_model_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates it
        linear = nn.Sequential(nn.Flatten(), nn.Linear(27, 2))
        model = torch.ao.quantization.quantize_dynamic(linear, {nn.Linear}, dtype=torch.qint8)
        message = r"^report: Sequential cannot be traced .*quantized::linear_dynamic"
        with pytest.raises(rn.UnsupportedModelError, match=message):
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


class Borrower(nn.Module):
    """Calls a module that is registered elsewhere; torch does not look for modules in lists."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.borrowed = [module]

    def forward(self, x: Tensor) -> Tensor:
        return self.borrowed[0](x)


def test_a_module_counts_for_every_module_that_calls_it() -> None:
    conv = nn.Conv2d(3, 3, 3, padding=1)
    rows = {row.name: row for row in rn.report(nn.Sequential(conv, Borrower(conv)), 8).rows}
    assert [(rows[name].macs, rows[name].kernel) for name in "01"] == [(2 * 8 * 8 * 81, (3, 3)), (8 * 8 * 81, (3, 3))]


@pytest.mark.parametrize("processes", [False, True])
def test_a_parallel_wrapper_is_looked_through(processes: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    if not processes:
        assert rn.report(nn.DataParallel(model), 32) == rn.report(model, 32)
        return
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        assert rn.report(nn.parallel.DistributedDataParallel(model), 32) == rn.report(model, 32)
    finally:
        torch.distributed.destroy_process_group()
