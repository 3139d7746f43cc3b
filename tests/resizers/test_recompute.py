"""checkpoint=True: the same numbers from less memory."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from resizenet import Resizer, ShapeError

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64, sums of a few thousand terms in another order

torch_2_6_compiles = pytest.mark.filterwarnings("ignore:.* should not be instantiated:DeprecationWarning")


def twins(norm: str = "batch", by_hand: nn.Module | None = None) -> tuple[Resizer, Resizer]:
    """Two resizers of the same weights, without and with checkpoint=True; ``by_hand`` replaces the head's norm."""
    plain = Resizer((7, 11), norm=norm, zero_init=False).double()
    if by_hand is not None:
        plain.norm = by_hand.double()
    recomputed = copy.deepcopy(plain)
    recomputed.checkpoint = True
    return plain, recomputed


def step(resizer: nn.Module, call: nn.Module, shape: tuple[int, int, int], *, backwards: int = 1) -> dict[str, Tensor]:
    """The result, gradients and buffers after a training step by ``call`` with ``shape``: batch, height, width."""
    torch.manual_seed(1)
    x = torch.rand(shape[0], 3, *shape[1:], dtype=torch.float64, requires_grad=True)
    out = call(x)
    for _ in range(backwards):
        out.square().sum().backward(retain_graph=True)
    gradients = {name: parameter.grad for name, parameter in resizer.named_parameters()}
    return {"out": out.detach(), "x": x.grad, **gradients, **dict(resizer.named_buffers())}


NORMS_BY_HAND = [
    lambda: nn.BatchNorm2d(16),
    lambda: nn.BatchNorm2d(16, momentum=None),
    lambda: nn.BatchNorm2d(16, affine=False),
    lambda: nn.BatchNorm2d(16, track_running_stats=False),
    lambda: nn.SyncBatchNorm(16),
    lambda: nn.InstanceNorm2d(16, track_running_stats=True),
    lambda: nn.GroupNorm(4, 16, affine=False),
    lambda: nn.LocalResponseNorm(3),
]


@given(
    norm=st.sampled_from(["batch", "group", "none"]),
    by_hand=st.one_of(st.none(), st.sampled_from(NORMS_BY_HAND)),
    shape=st.tuples(st.integers(1, 11), st.integers(2, 13), st.integers(1, 11)),
    training=st.booleans(),
    tracked=st.booleans(),
    backwards=st.integers(1, 2),
)
def test_output_gradients_and_statistics_are_the_same(
    norm: str,
    by_hand: Callable[[], nn.Module] | None,
    shape: tuple[int, int, int],
    training: bool,
    tracked: bool,
    backwards: int,
) -> None:
    plain, recomputed = (resizer.train(training) for resizer in twins(norm, by_hand and by_hand()))
    for resizer in (plain, recomputed):
        resizer.norm.track_running_stats = tracked
    expected = step(plain, plain, shape, backwards=backwards)
    torch.testing.assert_close(step(recomputed, recomputed, shape, backwards=backwards), expected, **CLOSE)


def test_statistics_are_updated_before_the_backward_pass() -> None:
    plain, recomputed = twins()
    x = torch.rand(2, 3, 9, 10, dtype=torch.float64)
    for resizer in (plain, recomputed):
        resizer.train()(x)
    torch.testing.assert_close(dict(recomputed.named_buffers()), dict(plain.named_buffers()), **CLOSE)
    assert recomputed.norm.num_batches_tracked == 1


@pytest.mark.parametrize("checkpoint", [True, False])
def test_one_value_per_channel_is_refused_in_training(checkpoint: bool) -> None:
    resizer = Resizer((7, 11), checkpoint=checkpoint)
    with pytest.raises(ShapeError, match=r"Resizer: .* more than one value per channel .* got \(1, 3, 1, 1\)"):
        resizer(torch.rand(1, 3, 1, 1))
    assert resizer.norm.running_var.eq(1).all()
    assert resizer(torch.rand(2, 3, 1, 1)).isfinite().all()
    assert resizer.norm.running_var.isfinite().all()


@torch_2_6_compiles
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_compiled_without_a_graph_break_they_are_the_same(norm: str) -> None:
    torch._dynamo.reset()
    plain, recomputed = twins(norm)
    compiled = torch.compile(recomputed, backend="aot_eager", fullgraph=True)
    for _ in range(2):  # gradients and statistics add up
        torch.testing.assert_close(step(recomputed, compiled, (3, 20, 23)), step(plain, plain, (3, 20, 23)), **CLOSE)


def saved_bytes(call: nn.Module, x: Tensor) -> int:
    """How much the forward pass keeps for backward, each storage once."""
    storages = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        call(x)
    return sum(storages.values())


@torch_2_6_compiles
@pytest.mark.parametrize("compiled", [False, True])
def test_less_is_kept_for_backward(compiled: bool) -> None:
    torch._dynamo.reset()
    plain, recomputed = twins("batch")
    x = torch.rand(8, 3, 40, 46, dtype=torch.float64)
    call = torch.compile(recomputed, backend="aot_eager") if compiled else recomputed
    assert saved_bytes(call, x) < saved_bytes(plain, x) / 3


@pytest.mark.parametrize("grad", [True, False])
def test_the_head_runs_in_chunks_and_once_more_in_backward(grad: bool) -> None:
    _, resizer = twins("batch")
    calls = []
    resizer.head[0].register_forward_hook(lambda module, args, output: calls.append(len(output)))
    x = torch.rand(16, 3, 20, 23, dtype=torch.float64)
    with torch.set_grad_enabled(grad):
        out = resizer(x)
    assert calls == ([2] * 8 if grad else [16])
    if grad:
        out.sum().backward()
        assert calls == [2] * 16
