"""Every fuzz test records how many cases it tried."""

from collections.abc import Callable, Iterator

import pytest

import fuzzing


@pytest.fixture(autouse=True)
def _record_cases(record_property: Callable[[str, object], None]) -> Iterator[None]:
    before = fuzzing.done
    yield
    record_property("cases", fuzzing.done - before)
