"""Make a classifier for another number of classes."""

from __future__ import annotations

from torch import nn


def change_classes(classifier: nn.Linear, num_classes: int) -> None:
    """Draw new weights in place, with torch's initialization of a linear layer; they require gradients."""
    classifier.out_features = num_classes
    for name in ("weight", "bias"):
        old = getattr(classifier, name)
        if old is not None:
            setattr(classifier, name, nn.Parameter(old.new_empty(num_classes, *old.shape[1:])))
    classifier.reset_parameters()
