"""The exception tree, so that a caller can catch one kind of mistake without catching others.

ResizenetError
├── ArgumentError (ValueError)       an argument outside its range
│   ├── SizeError                    not an int and not (height, width), or not positive
│   └── UnknownNameError             not one of the listed names
├── ShapeError (ValueError)          a tensor whose shape does not fit
├── DtypeError (TypeError)           a tensor whose dtype does not fit
├── CheckpointError (ValueError)     a checkpoint that does not fit the model
└── UnsupportedModelError (TypeError)   a model that an operation cannot handle
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeGuard


class ResizenetError(Exception):
    """The root of every error that resizenet raises on purpose."""


class ArgumentError(ResizenetError, ValueError):
    """An argument outside its range."""


class SizeError(ArgumentError):
    """A size that is neither a positive int nor a pair (height, width) of positive ints."""


class UnknownNameError(ArgumentError):
    """A name that is not among the choices; the message lists them."""


class ShapeError(ResizenetError, ValueError):
    """A tensor whose shape does not fit."""


class DtypeError(ResizenetError, TypeError):
    """A tensor whose dtype does not fit."""


class CheckpointError(ResizenetError, ValueError):
    """A checkpoint that does not fit the model; the message names every key that is at fault."""


class UnsupportedModelError(ResizenetError, TypeError):
    """A model that the operation cannot handle; the message says what to do instead."""


def check_choice(argument: str, value: object, choices: Iterable[str]) -> None:
    """Raise UnknownNameError, with the choices and the closest match, unless ``value`` is one of ``choices``."""
    names = list(choices)
    if isinstance(value, str) and value in names:
        return
    close = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UnknownNameError(f"{argument}: expected one of {', '.join(map(repr, names))}, got {value!r}{hint}")


def check_positive(argument: str, value: object) -> None:
    """Raise ArgumentError unless ``value`` is a positive int."""
    if not is_int(value) or isinstance(value, bool) or value < 1:
        raise ArgumentError(f"{argument}: expected a positive int, got {value!r}")


def is_int(value: object) -> TypeGuard[int]:
    """Whether ``value`` is an int, or one of the symbolic ints with which torch exports and compiles for any size."""
    return isinstance(value, int) or type(value).__name__ == "SymInt"
