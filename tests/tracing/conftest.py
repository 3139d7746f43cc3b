"""A check that a model was left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn


def tensors_in(value: object, seen: set[int]) -> Iterator[Tensor]:
    """Every tensor that a model holds: parameters, buffers, attributes, in lists and dicts, in other objects."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple | set):
        for inside in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(inside, seen)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from tensors_in(vars(value), seen)


def gradient(tensor: Tensor) -> Tensor | None:
    return tensor.grad if tensor.is_leaf else None


def identities(model: nn.Module) -> list[Any]:
    """Every tensor, attribute and hook of a model by identity, and what else must not change."""
    tensors = [
        (id(tensor), tensor.device, tensor._version, tensor.requires_grad, id(gradient(tensor)))
        for tensor in tensors_in(model, set())
    ]
    attributes = [
        (name, key, id(value), [(k, id(v)) for k, v in value.items()] if isinstance(value, dict) else None)
        for name, module in model.named_modules()
        for key, value in vars(module).items()
    ]
    return [tensors, attributes]


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    held = [(tensor, tensor.detach().clone(), gradient(tensor)) for tensor in tensors_in(model, set())]
    before, state = identities(model), torch.get_rng_state()
    yield
    assert identities(model) == before
    assert all(torch.equal(tensor.detach(), values) for tensor, values, _ in held)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture
def left_alone() -> Callable[[nn.Module], AbstractContextManager[None]]:
    """Asserts at its end that a model has the same tensors, values, attributes, hooks and modes as before.

    Torch's random numbers must be where they were, too.
    """
    return unchanged
