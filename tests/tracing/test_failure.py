"""Whatever a model, its forward or a size is, ``report`` raises errors of the library that name a reason."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import resizenet as rn
from networks import Apply

VIDEO = torchvision.models.video


@pytest.mark.parametrize("make", [VIDEO.r3d_18, VIDEO.s3d, VIDEO.mvit_v2_s, VIDEO.swin3d_t])
def test_a_video_model_is_refused_as_such(make: Callable[[], nn.Module]) -> None:
    with torch.device("meta"):
        model = make()
    message = rf"^report: {type(model).__name__} takes something other than images \(layer '.*' is of type Conv3d\): \w"
    with pytest.raises(rn.UnsupportedModelError, match=message):
        rn.report(model, 32)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    "layer",
    [nn.Embedding(9, 4), nn.LSTM(32, 4), nn.Conv1d(3, 3, 3), nn.BatchNorm1d(3), nn.BatchNorm3d(3)],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_for_other_inputs_is_not_blamed_on_the_size(layer: nn.Module, inside: bool) -> None:
    message = rf"takes something other than images \(layer '0?' is of type {type(layer).__name__}\): \w"
    with pytest.raises(rn.UnsupportedModelError, match=message):
        rn.report(nn.Sequential(layer) if inside else layer, 32)


def refuses_odd_sizes(x: Tensor) -> Tensor:
    if x.shape[-1] % 2:
        raise AssertionError
    return x


def recurses(x: Tensor) -> Tensor:
    return recurses(x)


@pytest.mark.parametrize(
    ("forward", "error", "message"),
    [
        (refuses_odd_sizes, rn.ShapeError, "of (3, 5, 5): AssertionError at `raise AssertionError`"),
        (recurses, rn.UnsupportedModelError, "without values: RecursionError: maximum recursion depth exceeded"),
        (lambda x: next(iter(())), rn.UnsupportedModelError, "without values: StopIteration at `"),
    ],
)
def test_an_error_without_a_size_or_a_message_is_told_with_its_reason(
    forward: Callable[[Tensor], Tensor], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        rn.report(Apply(forward), 5)


ERRORS = [AssertionError, ArithmeticError, ImportError, LookupError, MemoryError, NotImplementedError, OSError]
ERRORS += [RecursionError, RuntimeError, StopIteration, TypeError, ValueError, rn.ShapeError, Exception]


@given(st.sampled_from(ERRORS), st.text(), st.sampled_from([nn.Identity, lambda: nn.Conv3d(3, 3, 1)]))
def test_every_error_of_a_forward_becomes_one_of_the_library_with_a_reason(
    kind: type[Exception], text: str, make: Callable[[], nn.Module]
) -> None:
    def forward(x: Tensor, layer: nn.Module) -> Tensor:
        raise kind(text)

    with pytest.raises(rn.ResizenetError) as caught:
        rn.report(Apply(forward, layer=make()), 8)
    assert (text.strip() or f"{kind.__name__} at `raise kind(text)`").partition("\n")[0] in str(caught.value)


@given(st.one_of(st.none(), st.text(), st.integers(), st.sampled_from([nn.Linear, torch.relu, torch.zeros(2), [], {}])))
def test_what_is_no_module_is_refused(model: object) -> None:
    with pytest.raises(rn.UnsupportedModelError, match=r"^report: expected a model that is a torch\.nn\.Module, got "):
        rn.report(model, 32)


@given(st.integers(10**9, 10**40), st.integers(1, 10**40), st.integers(1, 10**20))
def test_a_size_beyond_any_tensor_is_refused(height: int, width: int, in_channels: int) -> None:
    with pytest.raises((rn.ShapeError, rn.ArgumentError), match=r"^report: |^input_size: |^in_channels: "):
        rn.report(nn.Conv2d(3, 4, 3, padding=1), (height, width * 10**9), in_channels=in_channels)
