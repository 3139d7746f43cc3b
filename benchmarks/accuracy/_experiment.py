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
    """One row of an experiment."""

    make: Callable[[], nn.Module]
    recipe: dict[str, Any] = field(default_factory=dict)  # the fields that differ from the experiment's recipe
    prepare: Callable[[ImageData], ImageData] = lambda data: data  # makes what the model is trained on
    counted: Callable[[], nn.Module] | None = None  # makes the model whose cost is counted
    start: str | None = None  # the arm from whose final weights this one continues
    change: Callable[[nn.Module], nn.Module] = lambda model: model  # what is done to the model behind those weights


@dataclass(frozen=True)
class Experiment:
    """One version of a question, and the arms that answer it."""

    question: str
    arms: dict[str, Arm]  # they differ only in what they are named for
    epochs: int  # unless the command says otherwise
    seeds: int = 3  # how many, unless the command says otherwise
    reference: str | None = None  # the arm that the table compares the others with
    load: Callable[[Path], ImageData] = load_cifar10
    watch: Measure = nothing  # measures after every epoch, besides the accuracy
    finish: Measure = nothing  # measures at the end, on a new model with the trained weights
    left_out: str = ""  # what this version leaves out, in words
    recipe: Recipe = field(default_factory=Recipe)  # a subclass if ``training`` needs more
    training: type[Training] = Training
