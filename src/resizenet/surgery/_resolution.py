"""``adapt_to_resolution``: BatchNorm's statistics, and if wanted the last layers, fitted to images of another size."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from .._checks import check_choice, check_positive
from .._errors import ArgumentError, UnsupportedModelError

_LEARNING_RATE = (
    1e-2  # of SGD with momentum 0.9: a head that was trained already follows its inputs, and is not trained anew
)


def adapt_to_resolution(
    model: nn.Module, batches: Iterable[Any], *, mode: str = "bn", num_batches: int = 200
) -> nn.Module:
    """Fit the model to the size of the images in ``batches``, in place.

    At another size the statistics of the maps change, and BatchNorm's running ones no longer fit. "bn" resets them and takes the
    average over the batches, each with the same weight; no parameter changes, and no labels are needed. Everything but
    BatchNorm is in eval mode meanwhile, so dropout and stochastic depth do not disturb the statistics. A BatchNorm that does not run,
    as in a head for training only, keeps its statistics.

    "bn+head" does that and then goes over ``batches`` again to fine-tune the last BatchNorm's weight and bias and the classifier, with
    cross-entropy and SGD (learning rate 0.01, momentum 0.9), everything in eval mode. The last BatchNorm is the one that ran last,
    and the classifier the linear layer that the model ends with. For a new classifier train longer, by your own loop.

    Give batches as at training, augmentation included, at the new size and large: every batch counts alike, so let a DataLoader drop
    an incomplete last one. A progress bar is shown on a terminal if rich is installed. Train and eval modes, momenta,
    ``requires_grad`` and gradients are afterwards as they were. If it fails or is interrupted, so is the model.

    Source: Hoffer et al. 2019, "Mix & Match" (arXiv 1908.08986), for "bn"; Touvron et al. 2019, "Fixing the train-test resolution
    discrepancy" (arXiv 1906.06423, section 4), for the layers that "bn+head" tunes.

    Args:
        model: any model with BatchNorm.
        batches: of (B, C, H, W) images, or of (images, labels); what follows in a tuple is not read. They are moved to the model's device.
            "bn+head" needs the labels, (B,) class indices, and iterates twice.
        mode: "bn" or "bn+head".
        num_batches: how many batches are taken at most, in each of the two passes.

    Returns:
        ``model``.

    Raises:
        ArgumentError: no batch, a batch of another kind, or no labels where they are needed; nothing has changed.
        UnsupportedModelError: a model none of whose BatchNorms tracks statistics and runs, or one that does not end with a linear
            layer where "bn+head" needs it.
        UnknownNameError: an unknown mode.

    Example:
        >>> import torch
        >>> from resizenet import create_model
        >>> model = adapt_to_resolution(create_model("resnet20"), [torch.rand(8, 3, 24, 24) for _ in range(3)])
        >>> model.stem.norm.num_batches_tracked
        tensor(3)
    """
    check_choice("mode", mode, ("bn", "bn+head"))
    check_positive("num_batches", num_batches)
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None]
    if not norms:
        raise UnsupportedModelError(
            f"adapt_to_resolution: {type(model).__name__} has no BatchNorm with running statistics, so there is nothing to recalibrate; fine-tune it instead"
        )
    statistics = [buffer for norm in norms for buffer in norm.buffers(recurse=False)]
    with _settings_kept(model, norms), _undone_on_failure(statistics):
        model.eval()
        with closing(_progress(batches, num_batches, "BatchNorm")) as progress:
            ran = _recalibrate(model, norms, progress)
        if mode == "bn+head":
            tuned = _head(model, ran)
            with _undone_on_failure(tuned), closing(_progress(batches, num_batches, "Head")) as progress:
                _fine_tune(model, tuned, progress)
    return model


@contextmanager
def _settings_kept(model: nn.Module, norms: list[_BatchNorm]) -> Iterator[None]:
    """Modes, momenta, flags and gradients are afterwards as they were."""
    modes = [(module, module.training) for module in model.modules()]
    momenta = [(norm, norm.momentum) for norm in norms]
    flags = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for norm, momentum in momenta:
            norm.momentum = momentum
        for parameter, requires_grad, gradient in flags:
            parameter.requires_grad_(requires_grad).grad = gradient


@contextmanager
def _undone_on_failure(tensors: list[Tensor]) -> Iterator[None]:
    before = _copies(tensors)
    try:
        yield
    except BaseException:  # KeyboardInterrupt too
        _put_back(tensors, before)
        raise


def _copies(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _put_back(tensors: Iterable[Tensor], values: list[Tensor]) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)


@torch.no_grad()
def _recalibrate(model: nn.Module, norms: list[_BatchNorm], batches: Iterable[Any]) -> list[nn.Module]:
    """The norms and linear layers in the order in which they ran; a norm that saw no batch keeps its statistics."""
    before = [_copies(norm.buffers(recurse=False)) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the cumulative average
        norm.training = True
    device = next(norms[0].buffers()).device
    ran: list[nn.Module] = []
    watched = {*norms, *(module for module in model.modules() if isinstance(module, nn.Linear))}
    hooks = [module.register_forward_hook(lambda module, *_: ran.append(module)) for module in watched]
    try:
        for batch in batches:
            model(_images(batch).to(device))
    finally:
        for hook in hooks:
            hook.remove()
        for norm in norms:
            norm.training = False
    if not any(norm.num_batches_tracked for norm in norms):
        raise UnsupportedModelError(
            f"adapt_to_resolution: no BatchNorm of {type(model).__name__} runs on these images, so there is nothing to recalibrate"
        )
    for norm, old in zip(norms, before, strict=True):
        if not norm.num_batches_tracked:
            _put_back(norm.buffers(recurse=False), old)
    return ran


def _head(model: nn.Module, ran: list[nn.Module]) -> list[Tensor]:
    """The parameters of the last norm and of the classifier."""
    if not ran or not isinstance(ran[-1], nn.Linear):
        raise UnsupportedModelError(
            f'adapt_to_resolution: mode="bn+head" needs a model that ends with a Linear, and {type(model).__name__} does not; use mode="bn"'
        )
    last_norm = next(module for module in reversed(ran) if isinstance(module, _BatchNorm))
    return [*last_norm.parameters(recurse=False), *ran[-1].parameters()]


@torch.enable_grad()
def _fine_tune(model: nn.Module, tuned: list[Tensor], batches: Iterable[Any]) -> None:
    model.requires_grad_(False)
    for parameter in tuned:
        parameter.requires_grad_()
    optimizer = torch.optim.SGD(tuned, lr=_LEARNING_RATE, momentum=0.9)
    for batch in batches:
        images, labels = (tensor.to(tuned[-1].device) for tensor in (_images(batch), _labels(batch)))
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(model(images), labels))
        optimizer.step()


def _images(batch: Any) -> Tensor:
    images = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if not isinstance(images, Tensor):
        raise ArgumentError(f"batches: expected tensors or (images, labels), got {type(batch).__name__}")
    return images


def _labels(batch: Any) -> Tensor:
    labels = batch[1] if isinstance(batch, (tuple, list)) and len(batch) > 1 else None
    if not isinstance(labels, Tensor):
        raise ArgumentError(
            f'batches: expected (images, labels) for mode="bn+head", got {type(batch).__name__} without labels'
        )
    return labels


def _progress(batches: Iterable[Any], num_batches: int, description: str) -> Generator[Any, None, None]:
    """At least one and at most ``num_batches`` batches; on a terminal with a progress bar, where rich is installed."""
    total = min(num_batches, operator.length_hint(batches, num_batches))
    taken = 0
    for batch in _bar(itertools.islice(batches, num_batches), total, description):
        yield batch
        taken += 1
    if not taken:
        raise ArgumentError(
            'batches: expected at least one batch, got none; mode="bn+head" iterates twice, so give it a list or a DataLoader'
        )


def _bar(batches: Iterable[Any], total: int, description: str) -> Iterable[Any]:
    try:
        from rich.console import Console
        from rich.progress import track
    except ImportError:
        return batches
    console = Console(stderr=True)
    return track(
        batches,
        description,
        total=total,
        console=console,
        transient=True,
        disable=not (console.is_terminal or console.is_jupyter),
    )
