"""The results of the kernels against the float64 reference.

``test_interpreted.py`` runs this file in a new process, because TRITON_INTERPRET must be set before triton is imported.
"""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import reference
from resizenet import Resizer, kernels

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
EPS = {torch.float32: 2e-7, torch.float16: 2**-11, torch.bfloat16: 2**-8}  # half a unit in the last place if half


HalfResizer = Callable[[Resizer], kernels.TritonHalfResizer]


@dataclass(frozen=True)
class Case:
    size: tuple[int, int]
    in_channels: int = 3
    out_channels: int = 3
    channels: int = 16
    num_blocks: int = 1
    antialias: bool = True
    layout: torch.memory_format = torch.contiguous_format
    negative_slope: float = 0.2
    batch: int = 2

    def resizer(self) -> Resizer:
        """In float64 and evaluation, with random weights that are exact in every dtype."""
        resizer = Resizer(
            self.size,
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            channels=self.channels,
            num_blocks=self.num_blocks,
            antialias=self.antialias,
            negative_slope=self.negative_slope,
        )
        for name, tensor in itertools.chain(resizer.named_parameters(), resizer.named_buffers()):
            if name.endswith("running_var"):
                nn.init.uniform_(tensor, 0.5, 2)
            elif tensor.is_floating_point():
                nn.init.normal_(tensor, 0, 0.2)
            with torch.no_grad():
                tensor.copy_(tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor)
        return resizer.double().eval().to(DEVICE)

    def images(self) -> Tensor:
        """(B, I, 2 h, 2 w) in float64, exact in every dtype."""
        x = torch.rand(self.batch, self.in_channels, 2 * self.size[0], 2 * self.size[1]).to(torch.bfloat16).double()
        return x.contiguous(memory_format=self.layout).to(DEVICE)


CASES = {
    "defaults": Case((11, 7)),
    "channels last, 2x2 mean": Case((7, 19), antialias=False, layout=torch.channels_last),
    "32 channels, gray to 2": Case((3, 5), 1, 2, channels=32, num_blocks=2),
    "one pixel, 4 to 3": Case((1, 1), 4, 3, num_blocks=0, batch=3),
    "one row, 2 to 4, channels last": Case((1, 17), 2, 4, layout=torch.channels_last, negative_slope=0.0),
}
SWEEP = {
    f"{size} {n} {i}->{o} r{r} {'blur' if antialias else 'mean'} {layout}": Case(size, i, o, n, r, antialias, layout)
    for (size, (i, o)), n, r, (antialias, layout) in zip(
        itertools.product(
            [(17, 33), (2, 3), (9, 16), (35, 1), (8, 31)], [(1, 1), (2, 3), (3, 3), (4, 4), (8, 8), (3, 1)]
        ),
        itertools.cycle([16, 32, 16]),
        itertools.cycle([1, 0, 2, 1]),
        itertools.cycle(itertools.product([True, False], [torch.contiguous_format, torch.channels_last])),
        strict=False,
    )
}
DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def pairs(cases: dict[str, Case], slow: dict[str, Case]) -> pytest.MarkDecorator:
    """Every case in bfloat16 and the first two in every dtype; the rest is slow. Float32 only in the interpreter."""
    params = []
    for index, (name, case) in enumerate({**cases, **slow}.items()):
        for dtype in DTYPES if INTERPRETED else DTYPES[:2]:
            quick = name in cases and (dtype == torch.bfloat16 or index < 2)
            params.append(pytest.param(case, dtype, id=f"{name}, {dtype}", marks=() if quick else pytest.mark.slow))
    return pytest.mark.parametrize(("case", "dtype"), params)


def oracle(case: Case, resizer: Resizer, x: Tensor) -> Tensor:
    """The reference, or for networks that it lacks the resizer in float64, which tests/resizers compares with it."""
    if case.in_channels != case.out_channels or case.negative_slope != 0.2:
        return resizer(x)
    state = reference.arrays({name: tensor.cpu() for name, tensor in resizer.state_dict().items()})
    rule = {"skip_antialias": case.antialias, "feature_antialias": False}
    return torch.from_numpy(reference.learned_resizer(x.cpu().numpy(), case.size, state, case.num_blocks, **rule))


def worst(ours: Tensor, expected: Tensor) -> float:
    assert ours.isfinite().all()
    assert ours.shape == expected.shape
    return float((ours.double().cpu() - expected.cpu()).abs().max())


def assert_as_good(ours: Tensor, plain: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    """Error at most twice that of plain torch in the same dtype plus one rounding of the largest value."""
    assert worst(ours, expected) <= 2 * worst(plain, expected) + EPS[dtype] * float(expected.abs().max())


@pairs(CASES, SWEEP)
@torch.no_grad()
def test_inference_is_as_good_as_plain_torch(half_resizer: HalfResizer, case: Case, dtype: torch.dtype) -> None:
    resizer, x = case.resizer(), case.images()
    expected = oracle(case, resizer, x)
    ours = half_resizer(resizer).to(dtype)(x.to(dtype))
    assert ours.dtype == dtype
    assert ours.is_contiguous(memory_format=case.layout) or 1 in (case.in_channels, case.out_channels)
    assert_as_good(ours, resizer.to(dtype)(x.to(dtype)), expected, dtype)


@torch.no_grad()
def test_a_batch_gives_the_results_of_its_images(half_resizer: HalfResizer) -> None:
    case = Case((3, 5), batch=3)
    network, x = half_resizer(case.resizer()).half(), case.images().half()
    torch.testing.assert_close(network(x), torch.cat([network(image) for image in x.split(1)]), rtol=0, atol=0)


@torch.no_grad()
def test_another_memory_format_is_copied_and_the_input_unchanged(half_resizer: HalfResizer) -> None:
    case = Case((5, 9))
    network, x = half_resizer(case.resizer()).half(), case.images().half()
    before = x.clone()
    turned = x.transpose(2, 3).contiguous().transpose(2, 3)
    assert not turned.is_contiguous()
    torch.testing.assert_close(network(turned), network(x), rtol=0, atol=0)
    torch.testing.assert_close(x, before, rtol=0, atol=0)


@torch.no_grad()
def test_autocast_decides_the_dtype(half_resizer: HalfResizer) -> None:
    case = Case((5, 9))
    resizer, x = case.resizer(), case.images().float()
    network = half_resizer(resizer).float()
    with torch.autocast(DEVICE.type, torch.bfloat16):
        ours = network(x)
    torch.testing.assert_close(ours, network.bfloat16()(x.bfloat16()), rtol=0, atol=0)  # the image is exact in bfloat16


class Casts(TorchDispatchMode):
    """Counts casts and copies between devices."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function is torch.ops.aten._to_copy.default
        return function(*args, **(kwargs or {}))


@torch.no_grad()
def test_under_autocast_all_weights_are_cast_at_once(half_resizer: HalfResizer) -> None:
    case = Case((5, 9), num_blocks=3)
    network, x = half_resizer(case.resizer()).float(), case.images().float()
    with torch.autocast(DEVICE.type, torch.bfloat16), Casts() as casts:
        network(x)
    assert casts.count == 1


@torch.no_grad()
def test_inference_compiles_without_graph_breaks(half_resizer: HalfResizer) -> None:
    case = Case((5, 9), num_blocks=2)
    network, x = half_resizer(case.resizer()).half(), case.images().half()
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), network(x), rtol=0, atol=0)


@pytest.mark.parametrize("norm", ["batch", "none"])
@torch.no_grad()
def test_a_fused_copy_passes_its_weights_to_the_kernels(norm: str) -> None:
    resizer = Resizer((5, 9), norm=norm, num_blocks=2).eval().to(DEVICE)
    for name, tensor in itertools.chain(resizer.named_parameters(), resizer.named_buffers()):
        if name.endswith("running_var"):
            nn.init.uniform_(tensor, 0.5, 2)
        elif tensor.is_floating_point():
            nn.init.normal_(tensor, 0, 0.1)
    x = torch.rand(2, 3, 10, 18, device=DEVICE)
    torch.testing.assert_close(
        resizer.half().fuse(kernels="auto").half_resizer(x.half()), resizer.float()(x).half(), rtol=2e-2, atol=2e-2
    )


@torch.no_grad()
def test_a_fused_copy_uses_the_kernels_if_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case((5, 9))
    monkeypatch.setattr(kernels.TritonHalfResizer, "why_unsupported", lambda self, x, size: None)
    resizer, x = case.resizer().half(), case.images().half()
    for word in ("auto", "always"):
        fused = resizer.fuse(kernels=word)
        torch.testing.assert_close(fused(x), fused.half_resizer(x), rtol=0, atol=0)
        compiled = torch.compile(fused, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), fused.half_resizer(x), rtol=0, atol=0)


def plain_moments(x: Tensor, head: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    z = head(x)
    variance, mean = torch.var_mean(z.to(torch.promote_types(z.dtype, torch.float32)), (0, 2, 3), correction=0)
    return F.avg_pool2d(z, 2), variance, mean


def values_and_gradients(compute: Any, x: Tensor, head: nn.Module, weights: list[Tensor]) -> list[Tensor]:
    """The three results, and the gradients of the head's four parameters under weights of the results."""
    results = compute(x, head)
    loss = [weight.to(result.dtype) for weight, result in zip(weights, results, strict=True)]
    gradients = torch.autograd.grad(results, list(head.parameters()), loss)
    return [result.detach() for result in (*results, *gradients)]


TRAINING = {
    "defaults": Case((11, 7)),
    "channels last": Case((5, 19), layout=torch.channels_last),
    "gray": Case((9, 3), 1, negative_slope=0.0),
    "two channels, channels last": Case((1, 5), 2, layout=torch.channels_last),
}


def keep_away_from_kinks(head: nn.Module) -> None:
    """Make the input of each LeakyReLU positive or negative by channel: near 0 its slope depends on rounding."""
    signs = torch.tensor([1.0, -1.0]).repeat(8)
    with torch.no_grad():
        for convolution, offset in ((head[0], 8), (head[2], 32)):
            convolution.bias.copy_(offset * signs)


@pairs(TRAINING, {})
def test_moments_and_gradients_are_as_good_as_plain_torch(case: Case, dtype: torch.dtype) -> None:
    head, x = case.resizer().head, case.images()
    if dtype != torch.float32:  # there offsets would cost digits of the variance
        keep_away_from_kinks(head)
    weights = [torch.randn(2, 16, *case.size, device=DEVICE), *torch.randn(2, 16, device=DEVICE)]
    weights[0] = weights[0].to(torch.bfloat16)  # exact in float64, and near enough in float16
    expected = values_and_gradients(plain_moments, x, head, weights)
    ours = values_and_gradients(kernels.head_and_moments, x.to(dtype), head.to(dtype), weights)
    plain = values_and_gradients(plain_moments, x.to(dtype), head, weights)
    for triple in zip(ours, plain, expected, strict=True):
        assert_as_good(*triple, dtype)


def test_phases_that_cancel_are_summed_in_float32() -> None:
    """Columns of alternating sign: the weight gradients of even and odd pixels are large and their sum is small."""
    case = Case((32, 33))
    head, x = case.resizer().head, case.images()
    keep_away_from_kinks(head)
    x[..., 1::2] = -x[..., ::2]
    weights = [torch.ones(2, 16, *case.size, device=DEVICE), *torch.zeros(2, 16, device=DEVICE)]
    expected = values_and_gradients(plain_moments, x, head, weights)[3]
    x, head = x.to(torch.bfloat16), head.to(torch.bfloat16)
    ours, plain = (
        values_and_gradients(compute, x, head, weights)[3] for compute in (kernels.head_and_moments, plain_moments)
    )
    assert_as_good(ours, plain, expected, torch.bfloat16)


def test_the_head_of_a_training_step_under_autocast() -> None:
    case = Case((5, 9))
    head, x = case.resizer().head.float(), case.images().float()
    with torch.autocast(DEVICE.type, torch.bfloat16):
        resized, variance, mean = kernels.head_and_moments(x, head)
    assert (resized.dtype, variance.dtype, mean.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    gradients = torch.autograd.grad([resized.sum(), variance.sum()], list(head.parameters()))
    assert all(gradient.dtype == torch.float32 and gradient.any() for gradient in gradients)


def test_an_image_that_needs_a_gradient_is_refused_in_backward() -> None:
    case = Case((3, 5))
    resized, _, _ = kernels.head_and_moments(case.images().half().requires_grad_(), case.resizer().head.half())
    with pytest.raises(NotImplementedError, match="the image needs a gradient"):
        resized.sum().backward()


def plain_and_kernels(monkeypatch: pytest.MonkeyPatch) -> tuple[Resizer, Resizer]:
    """Two training resizers with the same weights; the second uses the kernels, on any device."""
    monkeypatch.setattr("resizenet.resizers._learned.why_unsupported_training", lambda x, size, head: None)
    torch.manual_seed(0)
    plain, fused = (Resizer.paper((5, 9), kernels=word).to(DEVICE) for word in ("never", "always"))
    fused.load_state_dict(plain.state_dict())
    return plain, fused


def step(resizer: Resizer, x: Tensor) -> dict[str, Tensor]:
    """The result of a training step, the gradients and the running statistics after it."""
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=not INTERPRETED):
        out = resizer(x)
    (out * torch.linspace(-1, 1, out.numel(), device=DEVICE).view_as(out)).sum().backward()
    gradients = {name: parameter.grad for name, parameter in resizer.named_parameters()}
    return {
        "out": out.detach(),
        **gradients,
        **{name: buffer for name, buffer in resizer.named_buffers() if "tracked" not in name},
    }


def test_training_steps_are_those_of_plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32; on a GPU in bfloat16, where rounding changes gradients of plain torch by up to a tenth."""
    plain, fused = plain_and_kernels(monkeypatch)
    exact = copy.deepcopy(plain).double()  # which autocast leaves alone
    calls = []
    monkeypatch.setattr(
        "resizenet.resizers._learned.head_and_moments",
        lambda x, head: calls.append(x) or kernels.head_and_moments(x, head),
    )
    for _ in range(2):
        x = 20 * torch.rand(3, 3, 10, 18, device=DEVICE)
        expected, usual, got = step(exact, x.double()), step(plain, x), step(fused, x)
        for name, value in expected.items():
            # in gradients a sum over the image cancels
            close = 1e-5 if name.startswith(("out", "norm.running")) else 1e-4
            rounding = (close if INTERPRETED else 5e-2) * float(value.abs().max())
            assert worst(got[name], value) <= 2 * worst(usual[name], value) + rounding, name
    assert len(calls) == 2
    assert fused.norm.num_batches_tracked == 2


def test_the_training_head_compiles_without_graph_breaks() -> None:
    case = Case((3, 5))
    head, x = case.resizer().head.half(), case.images().half()
    compiled = torch.compile(kernels.head_and_moments, fullgraph=True, backend="aot_eager")
    weights = list(torch.randn(2, 16, device=DEVICE))
    weights.insert(0, torch.randn(2, 16, *case.size, device=DEVICE))
    for ours, eager in zip(
        values_and_gradients(compiled, x, head, weights),
        values_and_gradients(kernels.head_and_moments, x, head, weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, eager, rtol=0, atol=0)
