"""Find the layers that make the logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from .._errors import UnsupportedModelError
from .._modules import check_parameters
from .._tracing import Trace
from ._changes import Change, out_features


def classifier_changes(model: nn.Module, traced: Trace, num_classes: int) -> Iterator[Change]:
    """Yield the new number of classes of every classifier.

    The last layer with weights that was called is the classifier. Others have the same number of outputs: those next to
    it with the same shape (DeiT's distillation head), and linear layers that were not called (GoogLeNet's and
    Inception's auxiliary heads, which only training calls).

    Raises:
        UnsupportedModelError: the last layer makes no logits, or does not hold its weights as floating point
            parameters.
    """
    name, outputs = type(model).__name__, (traced.output_shape or (0,))[-1]
    called = {row.name: model.get_submodule(row.name) for row in traced.rows}
    layers = [(path, module) for path, module in called.items() if _has_matrix(module)]
    path, last = layers[-1] if layers else ("", model)
    before = out_features(last)
    is_logits = before in (traced.output_shape or ())[1:] and getattr(model, "num_classes", before) == before
    if before is None or not is_logits:
        raise UnsupportedModelError(
            f"adapt: expected the last layer of {name} to be a Linear or a 1x1 Conv2d that makes the logits, got "
            f"{type(last).__name__} {path!r} and an output of {outputs} values; replace it by hand"
        )
    heads = [path]
    for other, module in reversed(layers[:-1]):
        if str(module) != str(last):
            break
        heads.append(other)
    uncalled = (
        other
        for other, module in model.named_modules()
        if other not in called and isinstance(module, nn.Linear) and module.out_features == before
    )
    for head in [*reversed(heads), *uncalled]:
        layer: Any = model.get_submodule(head)
        check_parameters(layer, f"{name}.{head}", operation="adapt")
        if not layer.weight.is_floating_point():
            raise UnsupportedModelError(
                f"adapt: expected {name}.{head}.weight to be floating point, got {layer.weight.dtype}"
            )
        yield Change(head, "classes", before, num_classes)


def _has_matrix(module: nn.Module) -> bool:
    """Whether it has a weight that is no norm or layer scale, which have one number per channel."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.dim() > 1
