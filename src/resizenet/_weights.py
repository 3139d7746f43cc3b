"""Reads saved weights and checks that they fit, with every fault named, before anything is changed."""

from __future__ import annotations

import os
import re
from collections import Counter
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
        CheckpointError: not a checkpoint of tensors by name, or two names that differ only in their prefix.
        FileNotFoundError: no such file.
    """
    state = source if isinstance(source, Mapping) else _read(source, operation)
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not _is_state_dict(state):
        expected = f"tensors by name, or those under one of {', '.join(map(repr, _WRAPPERS))}"
        raise CheckpointError(f"{operation}: expected {expected}, got {_kinds(state)}")
    short = {name: _PREFIXES.sub("", name) for name in state}
    counts = Counter(short.values())
    repeated = [repr(name) for name in state if counts[short[name]] > 1]
    if repeated:
        raise CheckpointError(f"{operation}: expected one tensor for each name, got {', '.join(repeated)}")
    return {short[name]: tensor for name, tensor in state.items()}


def _read(source: str | os.PathLike[str], operation: str) -> Any:
    if not isinstance(source, (str, os.PathLike)):
        raise CheckpointError(f"{operation}: expected a path or a state dict, got {type(source).__name__}")
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # torch.load raises errors of any type for a damaged file
        message = f"{operation}: {os.fspath(source)} cannot be read with weights_only=True: {error}"
        raise CheckpointError(message) from error


def _is_state_dict(state: Any) -> bool:
    if not isinstance(state, Mapping) or not state:
        return False
    return all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items())


def _kinds(state: Any) -> str:
    if not isinstance(state, Mapping):
        return type(state).__name__
    return ", ".join(f"{name!r}: {type(value).__name__}" for name, value in list(state.items())[:5]) or "nothing"


def check_weights(found: Mapping[str, Tensor], target: Mapping[str, Tensor], *, operation: str, model: str) -> None:
    """Raise CheckpointError, with every key at fault, unless ``found`` fits ``target`` and is finite.

    Only ``num_batches_tracked``, which torch before 0.4.1 did not save, may be missing.
    """
    shared = {name: (found[name], tensor) for name, tensor in target.items() if name in found}
    kinds = {name: (_kind(ours), _kind(theirs)) for name, (ours, theirs) in shared.items()}
    faults = {
        "missing": [name for name in target if name not in found and not name.endswith("num_batches_tracked")],
        "unexpected": [name for name in found if name not in target],
        "of the wrong shape": [
            f"{name} {tuple(ours.shape)} where the model has {tuple(theirs.shape)}"
            for name, (ours, theirs) in shared.items()
            if kinds[name][0] == kinds[name][1] and ours.shape != theirs.shape
        ],
        "of the wrong kind": [
            f"{name} ({ours}, {found[name].dtype}) where the model has ({theirs}, {target[name].dtype})"
            for name, (ours, theirs) in kinds.items()
            if ours != theirs
        ],
        "not finite": [
            name
            for name, (ours, theirs) in shared.items()
            if kinds[name][0] == kinds[name][1] and not ours.to(theirs.dtype).isfinite().all()
        ],
    }
    if any(faults.values()):
        lines = [f"  {kind}: {', '.join(names)}" for kind, names in faults.items() if names]
        summary = f"{operation}: the checkpoint does not fit {model}, which is unchanged (names as in the model)"
        raise CheckpointError("\n".join([summary, *lines]))


def _kind(tensor: Tensor) -> str:
    """Floating, integer or complex for a dense tensor with values; otherwise what it is instead."""
    names = {
        "nested": tensor.is_nested,
        "sparse": tensor.layout != torch.strided,
        "on the meta device": tensor.is_meta,
        "quantized": tensor.is_quantized or (tensor.is_floating_point() and tensor.element_size() == 1),
        "complex": tensor.is_complex(),
        "floating": tensor.is_floating_point(),
    }
    return next((name for name, applies in names.items() if applies), "integer")
