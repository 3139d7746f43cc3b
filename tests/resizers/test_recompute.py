"""checkpoint=True: the same numbers from less memory."""

import pytest
import torch
from torch import nn

from resizenet import Resizer

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64, sums of a few thousand terms in another order


def twins(norm: str, batch_norm_momentum: float | None = 0.1) -> tuple[Resizer, Resizer]:
    plain, recomputed = (
        Resizer((7, 11), norm=norm, zero_init=False, checkpoint=flag).double() for flag in (False, True)
    )
    recomputed.load_state_dict(plain.state_dict())
    for resizer in (plain, recomputed):
        if isinstance(resizer.norm, nn.BatchNorm2d):
            resizer.norm.momentum = batch_norm_momentum
    return plain, recomputed


def step(resizer: nn.Module, call: nn.Module, batch: int) -> dict[str, torch.Tensor]:
    """Everything that a step of training by ``call`` leaves behind."""
    torch.manual_seed(1)
    x = torch.rand(batch, 3, 20, 23, dtype=torch.float64, requires_grad=True)
    out = call(x)
    out.square().sum().backward()
    return {
        "out": out.detach(),
        "x": x.grad,
        **{name: p.grad for name, p in resizer.named_parameters()},
        **dict(resizer.named_buffers()),
    }


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("batch", [1, 3, 11])
def test_output_gradients_and_statistics_are_the_same(norm: str, training: bool, batch: int) -> None:
    plain, recomputed = (resizer.train(training) for resizer in twins(norm))
    torch.testing.assert_close(step(recomputed, recomputed, batch), step(plain, plain, batch), **CLOSE)


torch_2_6_compiles = pytest.mark.filterwarnings(
    "ignore:.* should not be instantiated:DeprecationWarning"
)  # with a warning about its own doing


@torch_2_6_compiles
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_compiled_without_a_graph_break_they_are_the_same(norm: str) -> None:
    torch._dynamo.reset()
    plain, recomputed = twins(norm)
    compiled = torch.compile(recomputed, backend="aot_eager", fullgraph=True)
    for _ in range(2):  # gradients and statistics add up
        torch.testing.assert_close(step(recomputed, compiled, 3), step(plain, plain, 3), **CLOSE)


def saved_bytes(call: nn.Module, x: torch.Tensor) -> int:
    """What the forward pass keeps for backward, each storage once."""
    storages = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
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
    plain, recomputed = twins("batch", batch_norm_momentum=None)
    for _ in range(3):
        x = torch.rand(4, 3, 20, 23, dtype=torch.float64)
        plain(x), recomputed(x)
    torch.testing.assert_close(recomputed.norm.running_var, plain.norm.running_var, **CLOSE)
    torch.testing.assert_close(recomputed.norm.running_mean, plain.norm.running_mean, **CLOSE)


def test_the_head_runs_once_more_per_chunk_in_backward() -> None:
    _, resizer = twins("batch")
    calls = []
    resizer.head[0].register_forward_hook(lambda module, args, output: calls.append(len(output)))
    x = torch.rand(16, 3, 40, 46, dtype=torch.float64)
    out = resizer(x)
    assert calls == [2] * 8
    out.sum().backward()
    assert calls == [2] * 16


def test_without_gradients_nothing_is_chunked() -> None:
    _, resizer = twins("batch")
    calls = []
    resizer.head[0].register_forward_hook(lambda module, args, output: calls.append(len(output)))
    with torch.no_grad():
        resizer(torch.rand(16, 3, 20, 23, dtype=torch.float64))
    assert calls == [16]


def test_another_norm_put_in_by_hand_still_works() -> None:
    plain, recomputed = twins("batch")
    for resizer in (plain, recomputed):
        resizer.norm = nn.InstanceNorm2d(16, track_running_stats=True).double()
    x = torch.rand(2, 3, 20, 23, dtype=torch.float64)
    torch.testing.assert_close(recomputed(x), plain(x), **CLOSE)
