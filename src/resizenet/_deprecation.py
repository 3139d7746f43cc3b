"""Old names that still work for a while, and say what to write instead.

The policy is in docs/stability.md: a deprecated name or argument works, with a FutureWarning, until the version that the warning names.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


def renamed_arguments(*, removed_in: str, **names: str) -> Callable[[_Function], _Function]:
    """A decorator that passes keyword arguments given by an old name on by the new one.

    Args:
        removed_in: the version from which on the old names are errors.
        **names: old name to new name.

    Raises:
        TypeError: in a call with both names of one argument.

    Example:
        >>> import warnings
        >>> @renamed_arguments(removed_in="0.3", filter="interpolation")
        ... def resize(size, *, interpolation="bilinear"):
        ...     return size, interpolation
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     resize(32, filter="bicubic")
        (32, 'bicubic')
        >>> print(caught[0].message)
        resize: the argument filter is now called interpolation; the old name goes in resizenet 0.3
    """

    def decorate(function: _Function) -> _Function:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            for old in kwargs.keys() & names.keys():
                new = names[old]
                if new in kwargs:
                    raise TypeError(f"{function.__qualname__}: expected {new} or its old name {old}, got both")
                _warn(f"{function.__qualname__}: the argument {old} is now called {new}", removed_in)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]  # it has the signature of the function, and takes the old names too

    return decorate


def renamed_names(module: str, *, removed_in: str, **names: str) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module, with which its old names still work.

    Args:
        module: the module's ``__name__``.
        removed_in: the version from which on the old names are gone.
        **names: old name to new name.

    Example:
        In a module: ``__getattr__ = renamed_names(__name__, removed_in="0.3", Scaler="Resizer")``.
    """

    def getattr_of_module(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(f"{module}.{name} is now called {names[name]}", removed_in)
        return getattr(sys.modules[module], names[name])

    return getattr_of_module


def _warn(change: str, removed_in: str) -> None:
    """To the caller of the function that calls this; FutureWarning, for a DeprecationWarning would be hidden outside ``__main__``."""
    warnings.warn(f"{change}; the old name goes in resizenet {removed_in}", FutureWarning, stacklevel=3)
