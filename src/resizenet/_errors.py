"""The exception tree, so that a caller can catch one kind of mistake without catching others.

ResizenetError
├── ArgumentError (ValueError)       an argument outside its range
│   ├── SizeError                    not an int and not (height, width), or not positive
│   └── UnknownNameError             not one of the listed names
├── ShapeError (ValueError)          a tensor whose shape does not fit
├── DtypeError (TypeError)           not a tensor, or one whose dtype does not fit
├── CheckpointError (ValueError)     a checkpoint that does not fit the model
└── UnsupportedModelError (TypeError)   a model that an operation cannot handle
"""

from __future__ import annotations


class ResizenetError(Exception):
    """The base class of every error that resizenet raises on purpose."""


class ArgumentError(ResizenetError, ValueError):
    """An argument outside its range."""


class SizeError(ArgumentError):
    """A size that is neither a positive int nor a pair (height, width) of positive ints."""


class UnknownNameError(ArgumentError):
    """A name that is not among the choices; the message lists them."""


class ShapeError(ResizenetError, ValueError):
    """A tensor whose shape does not fit."""


class DtypeError(ResizenetError, TypeError):
    """Something other than a tensor, or a tensor whose dtype does not fit."""


class CheckpointError(ResizenetError, ValueError):
    """A checkpoint that does not fit the model; the message names every key concerned."""


class UnsupportedModelError(ResizenetError, TypeError):
    """A model that an operation cannot handle; the message says what to do instead."""
