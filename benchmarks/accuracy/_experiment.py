"""What an experiment is: arms that share everything but what they are named for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ._data import ImageData, load_cifar10

Measure = Callable[[nn.Module, ImageData], dict[str, float]]


def nothing(model: nn.Module, data: ImageData) -> dict[str, float]:
    """What most experiments measure beside the accuracy."""
    return {}


@dataclass(frozen=True)
class Arm:
    """One column of an experiment.

    Attributes:
        make: makes the model.
        recipe: what of the recipe differs.
        prepare: makes the data that the model is trained on, if not the images themselves.
        measured: makes what MACs and parameters are counted of, if not the model.
        start: the arm whose final weights of the same seed this one goes on from.
    """

    make: Callable[[], nn.Module]
    recipe: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[ImageData], ImageData] = lambda data: data
    measured: Callable[[], nn.Module] | None = None
    start: str | None = None


@dataclass(frozen=True)
class Experiment:
    """A question and the arms that answer it.

    Attributes:
        question: in a sentence.
        arms: by name; every one gets the same epochs, seeds and, but for what it is named for, recipe.
        epochs: unless the command says otherwise.
        seeds: how many, unless the command says otherwise.
        reference: the arm that the others are compared with in the table.
        load: reads the data.
        watch: what is measured after every epoch beside the accuracy.
        finish: what is measured after the last epoch, of a fresh model with the trained weights.
        small: the version for a CPU.
        left_out: what the small version leaves out, in words.
    """

    question: str
    arms: dict[str, Arm]
    epochs: int
    seeds: int = 3
    reference: str | None = None
    load: Callable[[Path], ImageData] = load_cifar10
    watch: Measure = nothing
    finish: Measure = nothing
    small: Experiment | None = None
    left_out: str = ""
