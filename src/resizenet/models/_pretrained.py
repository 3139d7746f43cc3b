"""Trained weights that come with the package: what is known about them, and how they are loaded."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .._checks import did_you_mean
from .._errors import ArgumentError, CheckpointError, UnknownNameError
from .._weights import check_weights, read_weights
from ._resnet import ResNet

if TYPE_CHECKING:
    from ..transforms import NormalizedPolicy

FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Weights:
    """A description of trained weights of a network, which ``create_model(model, weights=name)`` loads.

    The weights are those after the last epoch of the run with seed 0, rounded to float16.

    Attributes:
        model: name of the network.
        name: name of the weights, which is that of the data set.
        accuracy: test accuracy of these weights in %, computed in float32.
        accuracy_by_seed: test accuracies in % of all runs with the same recipe; the first run made these weights.
        epochs: passes over the training images.
        command: the command that trained the network, in a clone of the repository.
        classes: names of the outputs, in their order.
        policy: ``to_dict()`` of the ``NormalizedPolicy`` with which the network was trained.
        license: license of the weights.
        parameters: number of parameters of the network.
        sha256: SHA-256 of the file.
    """

    model: str
    name: str
    accuracy: float
    accuracy_by_seed: tuple[float, ...]
    epochs: int
    command: str
    classes: tuple[str, ...]
    policy: Mapping[str, Any] = field(hash=False)
    license: str
    parameters: int
    sha256: str

    def transforms(self) -> NormalizedPolicy:
        """The policy with which the network was trained: image sizes and normalization, without flips."""
        from ..transforms import NormalizedPolicy  # models do not need the transforms, their users do

        return NormalizedPolicy(**{key: value for key, value in self.policy.items() if key != "policy"})


def load_weights(model: ResNet, weights: Weights) -> None:
    """Load weights into a network, which is changed only if everything fits.

    Raises:
        CheckpointError: a file that is missing or damaged, tensors of another dtype, or a network that does not fit;
            the message names every key at fault.
    """
    operation = f"weights {weights.name!r} of {weights.model}"
    state = _read(FOLDER / f"{weights.model}-{weights.name}.pt", weights.sha256, operation)
    check_weights(state, model.state_dict(), operation=operation, model=type(model).__name__)
    model.load_state_dict(state, strict=False)


def _read(file: Path, sha256: str, operation: str) -> dict[str, Tensor]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{operation}: {file} cannot be read ({error}); install resizenet again") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        reason = f"{file} is damaged (its SHA-256 is {found}, not {sha256})"
        raise CheckpointError(f"{operation}: {reason}; install resizenet again")
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises errors of any type
        raise CheckpointError(f"{operation}: {file} cannot be read with weights_only=True: {error}") from error
    state = read_weights(loaded, operation=operation)
    foreign = [f"{name} ({tensor.dtype})" for name, tensor in state.items() if tensor.dtype != torch.float16]
    if foreign:
        raise CheckpointError(f"{operation}: expected tensors of float16, got {', '.join(foreign)}")
    return state


def list_weights(pattern: str = "*") -> list[Weights]:
    """The trained weights that come with the package, sorted by the name of the network.

    Args:
        pattern: a shell pattern for the names of the networks.

    Raises:
        ArgumentError: a pattern that is not a string.
        CheckpointError: a description file that is damaged.

    Example:
        >>> policies = {weights.model: weights.transforms() for weights in list_weights()}
    """
    if not isinstance(pattern, str):
        raise ArgumentError(f"pattern: expected a string such as 'resnet*', got {pattern!r}")
    found = [_record(file) for file in sorted(FOLDER.glob("*.json"))]
    return [weights for weights in found if fnmatch.fnmatch(weights.model, pattern)]


def _record(file: Path) -> Weights:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return Weights(**values | lists)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file}: not a record of weights ({type(error).__name__}: {error})") from None


def find_weights(model: str, name: object) -> Weights:
    """The weights of a network with that name.

    Raises:
        UnknownNameError: there are none; the message lists those that there are.
    """
    found = list_weights()
    by_name = {weights.name: weights for weights in found if weights.model == model}
    if isinstance(name, str) and name in by_name:
        return by_name[name]
    names = list(by_name)
    others = f"of {model} there are {', '.join(map(repr, names))}{did_you_mean(name, names)}"
    listed = ", ".join(f"{weights.model} {weights.name!r}" for weights in found) or "none"
    reason = others if names else f"there are none of {model}; the package has {listed}"
    raise UnknownNameError(f"weights: no {name!r}: {reason}; models.load_checkpoint loads those of other repositories")
