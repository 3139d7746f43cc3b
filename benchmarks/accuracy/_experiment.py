"""What an experiment is: arms that share everything except what they are named for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ._data import ImageData, load_cifar10
from ._train import Recipe, Training

Measure = Callable[[nn.Module, ImageData], dict[str, float]]


def nothing(model: nn.Module, data: ImageData) -> dict[str, float]:
    """Measure nothing beside the accuracy."""
    return {}


@dataclass(frozen=True)
class Arm:
    """One row of an experiment.

    Attributes:
        make: makes the model.
        recipe: the fields in which the recipe differs from the experiment's.
        prepare: makes the data that the model is trained on, if not the images themselves.
        counted: makes the model whose multiply-accumulates and parameters are counted, if not ``make``.
        start: the arm whose final weights of the same seed this arm continues from.
    """

    make: Callable[[], nn.Module]
    recipe: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[ImageData], ImageData] = lambda data: data
    counted: Callable[[], nn.Module] | None = None
    start: str | None = None


@dataclass(frozen=True)
class Experiment:
    """One version of a question, and the arms that answer it.

    Attributes:
        question: in a sentence.
        arms: by name; all get the same epochs, seeds and recipe, except for what they are named for.
        epochs: unless the command says otherwise.
        seeds: how many, unless the command says otherwise.
        reference: the arm that the others are compared with in the table.
        load: reads the data.
        watch: what is measured after every epoch, besides the accuracy.
        finish: what is measured after the last epoch, on a new model with the trained weights.
        left_out: what this version leaves out, in words.
        recipe: of all arms; a subclass of ``Recipe`` where ``training`` needs more.
        training: trains by the recipe.
    """

    question: str
    arms: dict[str, Arm]
    epochs: int
    seeds: int = 3
    reference: str | None = None
    load: Callable[[Path], ImageData] = load_cifar10
    watch: Measure = nothing
    finish: Measure = nothing
    left_out: str = ""
    recipe: Recipe = field(default_factory=Recipe)
    training: type[Training] = Training
