"""Reads saved weights and checks that they fit, with every fault named, before anything is changed."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ._errors import CheckpointError

Source = str | os.PathLike[str] | Mapping[str, Any]
"""A file, or a state dict."""

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = re.compile(r"^(?:module\.|_orig_mod\.)+")  # of DistributedDataParallel and of torch.compile


def read_weights(source: Source, *, operation: str) -> dict[str, Tensor]:
    """The tensors by name. A file is read with ``weights_only=True``; wrapping dicts and prefixes of names are removed.

    Raises:
        CheckpointError: not a checkpoint of tensors by name.
        FileNotFoundError: no such file.
    """
    state = source if isinstance(source, Mapping) else _read(source, operation)
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        expected = f"tensors by name, or those under one of {', '.join(map(repr, _WRAPPERS))}"
        raise CheckpointError(f"{operation}: expected {expected}, got {_kinds(state)}")
    return {_PREFIXES.sub("", name): tensor for name, tensor in state.items()}


def _read(source: str | os.PathLike[str], operation: str) -> Any:
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:  # OSError: an archive without its end
        message = f"{operation}: {os.fspath(source)} cannot be read with weights_only=True: {error}"
        raise CheckpointError(message) from error


def _kinds(state: Any) -> str:
    if not isinstance(state, Mapping):
        return type(state).__name__
    return ", ".join(f"{name!r}: {type(value).__name__}" for name, value in list(state.items())[:5]) or "nothing"


def check_weights(found: Mapping[str, Tensor], target: Mapping[str, Tensor], *, operation: str, model: str) -> None:
    """Raise CheckpointError, with every key at fault, unless ``found`` fits ``target`` and is finite.

    Only ``num_batches_tracked``, which torch before 0.4.1 did not save, may be missing.
    """
    shared = {name: (found[name], tensor) for name, tensor in target.items() if name in found}
    faults = {
        "missing": [name for name in target if name not in found and not name.endswith("num_batches_tracked")],
        "unexpected": [name for name in found if name not in target],
        "of the wrong shape": [
            f"{name} {tuple(a.shape)} where the model has {tuple(b.shape)}"
            for name, (a, b) in shared.items()
            if a.shape != b.shape
        ],
        "of the wrong kind": [
            f"{name} {a.dtype} where the model has {b.dtype}"
            for name, (a, b) in shared.items()
            if a.is_floating_point() != b.is_floating_point()
        ],
        "not finite": [name for name, (a, b) in shared.items() if not a.isfinite().all()],
    }
    if any(faults.values()):
        lines = [f"  {kind}: {', '.join(names)}" for kind, names in faults.items() if names]
        summary = f"{operation}: the checkpoint does not fit {model}, which is unchanged (names as in the model)"
        raise CheckpointError("\n".join([summary, *lines]))
