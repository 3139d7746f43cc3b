"""Make a classifier for another number of classes."""

from __future__ import annotations

from typing import Any

from torch import nn

from .._errors import UnsupportedModelError
from .._modules import check_parameters
from ._families import Family, find_classifier


def new_classifier(model: nn.Module, family: Family, num_classes: int) -> nn.Linear:
    """Return a classifier with fresh weights, which require gradients.

    Raises:
        UnsupportedModelError: the model has no classifier that holds its weights as floating point parameters.
    """
    old, path = find_classifier(model, family), f"{type(model).__name__}.{family.classifier}"
    check_parameters(old, path, operation="adapt")
    if not old.weight.is_floating_point():
        raise UnsupportedModelError(f"adapt: expected {path}.weight to be floating point, got {old.weight.dtype}")
    options: dict[str, Any] = {"device": old.weight.device, "dtype": old.weight.dtype}
    return nn.Linear(old.in_features, num_classes, bias=old.bias is not None, **options)


def set_classifier(classifier: nn.Linear, new: nn.Linear) -> None:
    """Give the classifier the weights of a new one."""
    classifier.weight, classifier.bias, classifier.out_features = new.weight, new.bias, new.out_features
