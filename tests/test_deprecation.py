"""Old names work, warn at the caller's line with the version in which they go, and are refused beside the new ones."""

import inspect
import sys
import types
import warnings
from collections.abc import Iterator

import pytest

from resizenet._deprecation import renamed_arguments, renamed_names


@renamed_arguments(removed_in="0.3", filter="interpolation", aa="antialias")
def scale(size: int, *, interpolation: str = "bilinear", antialias: bool = True) -> tuple[int, str, bool]:
    """Says what it was given."""
    return size, interpolation, antialias


class Scaler:
    @renamed_arguments(removed_in="0.3", filters="channels")
    def __init__(self, channels: int) -> None:
        self.channels = channels


@pytest.fixture
def module() -> Iterator[types.ModuleType]:
    module = types.ModuleType("scalers")
    module.New = Scaler
    module.__getattr__ = renamed_names("scalers", removed_in="0.3", Old="New")
    sys.modules["scalers"] = module
    yield module
    del sys.modules["scalers"]


def test_an_old_argument_works_and_warns_with_the_version_of_its_removal() -> None:
    with pytest.warns(FutureWarning, match=r"^scale: the argument filter is now called interpolation; the old name goes in resizenet 0\.3$") as caught:
        assert scale(7, filter="bicubic") == (7, "bicubic", True)
    assert [warning.filename for warning in caught] == [__file__]  # the caller's line, not the library's


def test_every_old_argument_of_a_call_warns() -> None:
    with pytest.warns(FutureWarning) as caught:
        assert scale(7, filter="bicubic", aa=False) == (7, "bicubic", False)
    assert {str(warning.message).split()[3] for warning in caught} == {"filter", "aa"}


def test_new_arguments_are_quiet() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scale(7, interpolation="bicubic", antialias=False) == (7, "bicubic", False)
        assert Scaler(4).channels == 4


def test_a_constructor_takes_its_old_argument() -> None:
    with pytest.warns(FutureWarning, match=r"Scaler\.__init__: the argument filters is now called channels"):
        assert Scaler(filters=4).channels == 4


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(TypeError, match="scale: expected interpolation or its old name filter, got both"):
        scale(7, filter="bicubic", interpolation="bilinear")


def test_signature_and_docstring_are_those_of_the_new_names() -> None:
    assert list(inspect.signature(scale).parameters) == ["size", "interpolation", "antialias"]
    assert scale.__doc__ == "Says what it was given."


def test_an_old_name_of_a_module_works_and_warns(module: types.ModuleType) -> None:
    with pytest.warns(FutureWarning, match=r"^scalers\.Old is now called New; the old name goes in resizenet 0\.3$") as caught:
        from scalers import Old
    assert Old is Scaler
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert module.New is Scaler


def test_other_names_are_missing_as_ever(module: types.ModuleType) -> None:
    with pytest.raises(AttributeError, match="module 'scalers' has no attribute 'Older'"):
        _ = module.Older
    assert not hasattr(module, "Older")
