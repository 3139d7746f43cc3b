"""Says why a model cannot be traced: because of the image's shape, or because of the model."""

from __future__ import annotations

import traceback

from torch import nn

from .._errors import ShapeError, UnsupportedModelError

_ABOUT_SHAPES = (AssertionError, RuntimeError, ValueError)
_OTHER_INPUTS = (nn.Conv1d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm3d, nn.Embedding, nn.EmbeddingBag, nn.RNNBase)


def explain_failure(
    error: Exception, model: nn.Module, module: str, shape: tuple[int, ...], *, operation: str
) -> ShapeError | UnsupportedModelError:
    """Return the error to raise when a model fails on an image of this shape (C, H, W) inside ``module``."""
    name, kind, reason = type(model).__name__, type(error).__name__, reason_of(error)
    if isinstance(error, NotImplementedError | RecursionError) or not isinstance(error, _ABOUT_SHAPES):
        reason = reason.partition("\n")[0]
        reason = reason if reason.startswith(kind) else f"{kind}: {reason}"
        return UnsupportedModelError(f"{operation}: {name} cannot be traced on one image without values: {reason}")
    layer = _layer_for_other_inputs(model, module)
    if layer is None:
        return ShapeError(f"{operation}: {name} cannot take an image of {shape}: {reason}")
    kind = type(model.get_submodule(layer)).__name__
    return UnsupportedModelError(
        f"{operation}: {name} takes something other than images (layer {layer!r} is of type {kind}): {reason}"
    )


def reason_of(error: Exception) -> str:
    """Return the message, or for an empty one the line of code that raised the error."""
    raised_at = traceback.extract_tb(error.__traceback__)[-1]
    return str(error).strip() or f"{type(error).__name__} at `{raised_at.line or raised_at.name}`"


def _layer_for_other_inputs(model: nn.Module, module: str) -> str | None:
    """Return a layer that shows that the model takes other inputs: the one that failed, or any 3-D convolution."""
    if isinstance(model.get_submodule(module), _OTHER_INPUTS):
        return module
    return next((name for name, inner in model.named_modules() if isinstance(inner, nn.Conv3d)), None)
