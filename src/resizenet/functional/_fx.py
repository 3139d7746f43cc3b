"""Functions that ``torch.fx.symbolic_trace`` does not look into: they decide by shapes, which a proxy does not have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.fx import Proxy

Function = TypeVar("Function", bound=Callable[..., Any])


def is_proxy(value: object) -> bool:
    """Whether ``torch.fx`` traces this value."""
    return isinstance(value, Proxy)


def fx_leaf(function: Function) -> Function:
    """Make a function one node of a traced graph when its first argument is a proxy; otherwise it is called."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling() or not (args and is_proxy(args[0])):
            return function(*args, **kwargs)
        return args[0].tracer.create_proxy("call_function", call, args, kwargs)

    return call  # type: ignore[return-value]  # it has the function's signature
