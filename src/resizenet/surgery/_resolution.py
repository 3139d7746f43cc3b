"""Fit BatchNorm's statistics, and optionally the last layers, to images of another size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from .._checks import check_choice, check_positive
from .._errors import ArgumentError, ResizenetError, UnsupportedModelError
from .._modules import check_model
from ._batches import images_of, labels_of, take

Mode = Literal["bn", "bn+head"]

_LEARNING_RATE = 1e-2  # SGD with momentum 0.9: the head is trained already, so it is only fine-tuned


def adapt_to_resolution(
    model: nn.Module, batches: Iterable[Any], *, mode: Mode = "bn", num_batches: int = 200
) -> nn.Module:
    """Fit the model in place to the size of the images in ``batches``.

    At another size the statistics of the feature maps change, and BatchNorm's running statistics no longer fit. "bn"
    replaces them by the average over the batches, each with the same weight (``torch.optim.swa_utils.update_bn``). No
    parameter changes, and no labels are needed. All other modules are in eval mode meanwhile, so dropout and
    stochastic depth do not disturb the statistics. A BatchNorm that is not called, as in a head that is for training
    only, keeps its statistics.

    "bn+head" does the same as "bn", then iterates over ``batches`` again and fine-tunes the weight and bias of the last
    BatchNorm and the classifier, with cross-entropy and SGD (learning rate 0.01, momentum 0.9), with all modules in
    eval mode. The last BatchNorm is the one called last, and the classifier is the linear layer that the model ends
    with. A new classifier needs longer training, in a loop of your own.

    Pass large batches at the new size, with the augmentation of training. Every batch has the same weight, so let the
    DataLoader drop an incomplete last one. A terminal shows a progress bar if rich is installed. Train and eval modes,
    momenta, ``requires_grad`` and gradients are restored afterwards. On failure or interruption the model is restored.

    Source: Hoffer et al. 2019, "Mix & Match" (arXiv 1908.08986), for "bn"; Touvron et al. 2019, "Fixing the
    train-test resolution discrepancy" (arXiv 1906.06423, section 4), for the layers that "bn+head" tunes.

    Args:
        model: any model with BatchNorm.
        batches: images (B, C, H, W), tuples that begin with (images, labels), or dicts with the images under
            "pixel_values", "images", "image" or "x" and the labels under "labels" or "label". They are moved to the
            model's device. "bn+head" needs the labels, class indices (B,), and iterates twice.
        mode: "bn" or "bn+head".
        num_batches: maximum number of batches, in each of the two passes.

    Returns:
        ``model``.

    Raises:
        ArgumentError: there is no batch, a batch has another form, the labels that "bn+head" needs are missing, or the
            model raises an error on the images.
        UnsupportedModelError: the model has no BatchNorm that is called and tracks statistics, its tensors cannot be
            changed, or "bn+head" is requested and the model does not end with a linear layer or is sharded.
        UnknownNameError: the mode is unknown.

    Example:
        >>> import torch
        >>> from resizenet import create_model
        >>> model = adapt_to_resolution(create_model("resnet20"), [torch.rand(8, 3, 24, 24) for _ in range(3)])
        >>> model.stem.norm.num_batches_tracked
        tensor(3)
    """
    check_choice("mode", mode, get_args(Mode))
    check_positive("num_batches", num_batches, at_most=math.inf)
    _check_changeable(model, may_be_sharded=mode == "bn")
    if isinstance(batches, Tensor) or not isinstance(batches, Iterable):
        raise ArgumentError(f"batches: expected an iterable of batches, got {type(batches).__name__}")
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None]
    if not norms:
        raise UnsupportedModelError(
            f"adapt_to_resolution: {type(model).__name__} has no BatchNorm with running statistics, so there is "
            "nothing to recalibrate; fine-tune it instead"
        )
    statistics = [buffer for norm in norms for buffer in norm.buffers(recurse=False)]
    with torch.inference_mode(False), _restore_settings(model), _restore_on_failure(statistics):
        model.eval()
        with closing(take(batches, num_batches, "BatchNorm")) as taken:
            called = _recalibrate(model, norms, taken)
        if mode == "bn+head":
            head = _head(model, called)
            with _restore_on_failure(head), closing(take(batches, num_batches, "Head")) as taken:
                _fine_tune(model, head, taken)
    return model


def _check_changeable(model: nn.Module, *, may_be_sharded: bool) -> None:
    """Raise UnsupportedModelError if the model's tensors cannot be changed in place.

    FSDP replaces the parameters of a sharded model while it runs, so an optimizer would change the wrong ones.
    """
    check_model(model, operation="adapt_to_resolution", may_be_sharded=may_be_sharded)
    tensors, name = [*model.parameters(), *model.buffers()], type(model).__name__
    if any(tensor.is_meta for tensor in tensors):
        raise UnsupportedModelError(f"adapt_to_resolution: the tensors of {name} have no values (meta device)")
    if any(tensor.is_inference() for tensor in tensors):
        raise UnsupportedModelError(
            f"adapt_to_resolution: the tensors of {name} were made in inference mode and cannot be changed; use "
            "copy.deepcopy(model)"
        )


@contextmanager
def _restore_settings(model: nn.Module) -> Iterator[None]:
    """Restore modes, momenta, ``requires_grad`` and gradients at the end."""
    modes = [(module, module.training) for module in model.modules()]
    momenta = [(module, module.momentum) for module in model.modules() if isinstance(module, _BatchNorm)]
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
def _restore_on_failure(tensors: list[Tensor]) -> Iterator[None]:
    before = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    except BaseException:  # KeyboardInterrupt too
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        raise


class _OnlyBatchNormTrains(nn.Module):
    """A model whose ``train()`` reaches BatchNorm only, because ``update_bn`` calls it on the whole model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Any:
        return _call(self.model, images)

    def train(self, mode: bool = True) -> _OnlyBatchNormTrains:
        self.training = mode
        for module in self.model.modules():
            if isinstance(module, _BatchNorm):
                module.training = mode
        return self


def _call(model: nn.Module, images: Tensor) -> Any:
    try:
        return model(images)
    except (ResizenetError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        found = f"{images.dtype} of shape {tuple(images.shape)}: {error}"
        raise ArgumentError(f"batches: expected images that {type(model).__name__} can take, got {found}") from error


def _recalibrate(model: nn.Module, norms: list[_BatchNorm], batches: Iterable[Any]) -> list[nn.Module]:
    """Replace the statistics of all norms that are called; return norms and linear layers in the order of calls."""
    before = {norm: [buffer.clone() for buffer in norm.buffers(recurse=False)] for norm in norms}
    device = next(norms[0].buffers()).device
    called: list[nn.Module] = []
    watched = [module for module in model.modules() if module in before or isinstance(module, nn.Linear)]
    hooks = [module.register_forward_hook(lambda module, *_: called.append(module)) for module in watched]
    try:
        update_bn((images_of(batch).to(device) for batch in batches), _OnlyBatchNormTrains(model).eval())
    finally:
        for hook in hooks:
            hook.remove()
    idle = [norm for norm in norms if not norm.num_batches_tracked]
    if len(idle) == len(norms):
        raise UnsupportedModelError(
            f"adapt_to_resolution: {type(model).__name__} calls no BatchNorm on these images, so there is nothing to "
            "recalibrate"
        )
    for norm in idle:
        for buffer, value in zip(norm.buffers(recurse=False), before[norm], strict=True):
            buffer.copy_(value)
    return called


def _head(model: nn.Module, called: list[nn.Module]) -> list[Tensor]:
    """Return the parameters of the last norm and of the classifier."""
    if not called or not isinstance(called[-1], nn.Linear):
        raise UnsupportedModelError(
            'adapt_to_resolution: mode="bn+head" needs a model that ends with a Linear, and '
            f'{type(model).__name__} does not; use mode="bn"'
        )
    last_norm = next(module for module in reversed(called) if isinstance(module, _BatchNorm))
    return [*last_norm.parameters(recurse=False), *called[-1].parameters()]


@torch.enable_grad()
def _fine_tune(model: nn.Module, head: list[Tensor], batches: Iterable[Any]) -> None:
    model.requires_grad_(False)
    for parameter in head:
        parameter.requires_grad_()
    optimizer = torch.optim.SGD(head, lr=_LEARNING_RATE, momentum=0.9)
    for batch in batches:
        images, labels = (tensor.to(head[-1].device) for tensor in (images_of(batch), labels_of(batch)))
        if images.is_inference() or labels.is_inference():  # autograd cannot save those
            images, labels = images.clone(), labels.clone()
        optimizer.zero_grad()
        out = _call(model, images)
        torch.autograd.backward(_loss(getattr(out, "logits", out), labels))
        optimizer.step()


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    try:
        return F.cross_entropy(logits, labels)
    except (IndexError, RuntimeError, ValueError) as error:
        raise ArgumentError(
            f"batches: expected labels for logits of shape {tuple(logits.shape)}, got {labels.dtype} of shape "
            f"{tuple(labels.shape)}: {error}"
        ) from None
