"""A trace does not depend on the state of torch or of other threads, and does not change it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

import resizenet as rn
from networks import Apply, build
from strategies import Branches, Layer, small_networks


@contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


CONTEXTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "inference mode": torch.inference_mode,
    "gradients": torch.enable_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "a default device without values": lambda: default_device("meta"),
    "a device without values": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("context", CONTEXTS)
@given(small_networks)
@settings(max_examples=10)
def test_a_trace_does_not_depend_on_the_modes_of_torch(context: str, plans: list[Layer | Branches]) -> None:
    net = build(plans)
    expected = rn.report(net, (301, 307), in_channels=2)
    with CONTEXTS[context]():
        assert rn.report(net, (301, 307), in_channels=2) == expected


def counts(x: Tensor) -> Tensor:
    """Uses the value of a tensor that it makes."""
    return x * int(torch.arange(4).sum())


@pytest.mark.parametrize("context", CONTEXTS)
def test_values_of_tensors_made_in_forward_do_not_depend_on_the_modes_of_torch(context: str) -> None:
    with CONTEXTS[context]():
        assert rn.report(nn.Sequential(nn.Conv2d(3, 4, 3), Apply(counts)), 32).rows[-1].output_map == (30, 30)


def test_a_model_made_in_inference_mode_is_traced() -> None:
    with torch.inference_mode():
        model = rn.create_model("resnet20")
    assert rn.report(model, 32) == rn.report(rn.create_model("resnet20"), 32)


class InInferenceMode(nn.Sequential):
    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


def test_a_forward_in_inference_mode_is_traced() -> None:
    layers = [nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(196, 5)]
    found, expected = rn.report(InInferenceMode(*layers), 31), rn.report(nn.Sequential(*layers), 31)
    assert (found.rows, found.macs) == (expected.rows, expected.macs)


# --- other threads


@contextmanager
def in_forward(action: Callable[[], object]) -> Iterator[nn.Module]:
    """A layer whose forward on a tensor without values waits until another thread has done something."""
    started, done = threading.Event(), threading.Event()

    def forward(x: Tensor) -> Tensor:
        if x.is_meta:
            started.set()
            assert done.wait(60)
        return x

    def act() -> object:
        assert started.wait(60)
        try:
            return action()
        finally:
            done.set()

    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        yield Apply(forward)
        acting.result()


def test_another_thread_runs_the_model_while_it_is_traced() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    image = torch.rand(1, 3, 8, 8)
    expected, seen = model(image), []
    with in_forward(lambda: seen.append((model(image), bool(_has_any_global_hook())))) as waiting:
        model.append(waiting)
        rn.report(model, 8)
    assert torch.equal(seen[0][0], expected)
    assert not seen[0][1], "a hook on all modules slows other threads down, and compiled modules warn of it"


def test_random_numbers_that_another_thread_draws_are_not_drawn_again() -> None:
    expected = torch.rand(6, generator=torch.Generator().manual_seed(1)).split(3)
    torch.manual_seed(1)
    drawn: list[Tensor] = []
    with in_forward(lambda: drawn.append(torch.rand(3))) as waiting:
        rn.report(nn.Sequential(waiting, Apply(lambda x: x * torch.rand(1))), 8)
    drawn.append(torch.rand(3))
    assert torch.equal(torch.cat(drawn), torch.cat(expected))


def test_a_forward_that_draws_until_it_likes_the_number_is_traced() -> None:
    def forward(x: Tensor) -> Tensor:
        for _ in range(1000):  # without an end it would never fail
            if float(torch.rand(1)) >= 0.9:
                return x
        raise AssertionError("the same number is drawn again and again")

    assert rn.report(Apply(forward), 8).rows == ()


def test_eight_threads_trace_and_run_one_model() -> None:
    model, image = rn.create_model("resnet20").eval(), torch.rand(1, 3, 32, 32)
    work = [lambda: rn.report(model, 32), lambda: rn.report(model, (16, 24)), lambda: model(image).tolist()]
    expected = [task() for task in work]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda task: task(), work * 16))
    assert found == expected * 16


def test_a_compiled_model_is_traced_without_a_warning() -> None:
    model = rn.create_model("resnet20")
    assert rn.report(torch.compile(model, backend="eager"), 32).macs == rn.report(model, 32).macs
