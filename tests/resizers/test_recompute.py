"""checkpoint=True: the same numbers from less memory."""

import pytest
import torch
from torch import Tensor, nn

from resizenet import Resizer

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64, sums of a few thousand terms in another order

torch_2_6_compiles = pytest.mark.filterwarnings("ignore:.* should not be instantiated:DeprecationWarning")


def twins(norm: str) -> tuple[Resizer, Resizer]:
    """Two resizers of the same weights, without and with checkpoint=True."""
    plain, recomputed = (
        Resizer((7, 11), norm=norm, zero_init=False, checkpoint=flag).double() for flag in (False, True)
    )
    recomputed.load_state_dict(plain.state_dict())
    return plain, recomputed


def step(resizer: nn.Module, call: nn.Module, batch: int) -> dict[str, Tensor]:
    """The result, gradients and buffers after a training step by ``call``."""
    torch.manual_seed(1)
    x = torch.rand(batch, 3, 20, 23, dtype=torch.float64, requires_grad=True)
    out = call(x)
    out.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in resizer.named_parameters()}
    return {"out": out.detach(), "x": x.grad, **gradients, **dict(resizer.named_buffers())}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("batch", [1, 3, 11])
def test_output_gradients_and_statistics_are_the_same(norm: str, training: bool, batch: int) -> None:
    plain, recomputed = (resizer.train(training) for resizer in twins(norm))
    torch.testing.assert_close(step(recomputed, recomputed, batch), step(plain, plain, batch), **CLOSE)


@torch_2_6_compiles
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_compiled_without_a_graph_break_they_are_the_same(norm: str) -> None:
    torch._dynamo.reset()
    plain, recomputed = twins(norm)
    compiled = torch.compile(recomputed, backend="aot_eager", fullgraph=True)
    for _ in range(2):  # gradients and statistics add up
        torch.testing.assert_close(step(recomputed, compiled, 3), step(plain, plain, 3), **CLOSE)


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


def test_cumulative_running_statistics_are_the_same() -> None:
    plain, recomputed = twins("batch")
    plain.norm.momentum = recomputed.norm.momentum = None
    for _ in range(3):
        x = torch.rand(4, 3, 20, 23, dtype=torch.float64)
        plain(x), recomputed(x)
    torch.testing.assert_close(dict(recomputed.norm.named_buffers()), dict(plain.norm.named_buffers()), **CLOSE)


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


def test_another_norm_put_in_by_hand_sees_the_whole_batch() -> None:
    plain, recomputed = twins("batch")
    for resizer in (plain, recomputed):
        resizer.norm = nn.InstanceNorm2d(16, track_running_stats=True).double()
    x = torch.rand(2, 3, 20, 23, dtype=torch.float64)
    torch.testing.assert_close(recomputed(x), plain(x), **CLOSE)
