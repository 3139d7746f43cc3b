"""Checkpoints: whatever is wrong with one is a CheckpointError, and nothing in it is executed."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from resizenet import CheckpointError
from resizenet._weights import check_weights, read_weights

TARGET = {"weight": torch.zeros(2, 3), "steps": torch.tensor(0)}


def saved(*, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(TARGET, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def load(source: object) -> None:
    check_weights(read_weights(source, operation="load"), TARGET, operation="load", model="Model")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights") / "checkpoint.pt"


@given(zipped=st.booleans(), data=st.data())
def test_a_mutated_file_loads_or_raises_a_checkpoint_error(file: Path, zipped: bool, data: st.DataObject) -> None:
    content = bytearray(saved(zipped=zipped))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.one_of(st.none(), st.integers(0, len(content))))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about what it finds in the file
        try:
            load(file)
        except CheckpointError as error:
            assert str(error).startswith("load: ")  # noqa: PT017, it may also load


@given(content=st.one_of(st.text().map(str.encode), st.binary()))
def test_any_other_file_raises_a_checkpoint_error(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt cannot be read with weights_only=True"):
        load(file)


class Executed:
    """Unpickled without ``weights_only``, it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.marker, "executed")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_execute_does_not(tmp_path: Path, zipped: bool) -> None:
    file, marker = tmp_path / "checkpoint.pt", tmp_path / "marker"
    torch.save({"weight": Executed(marker)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="cannot be read with weights_only=True"):
        load(file)
    assert not marker.exists()
    torch.load(file, weights_only=False)
    assert marker.exists()  # it is dangerous indeed


@pytest.mark.parametrize("source", [None, 5, b"checkpoint.pt", ["checkpoint.pt"], TARGET["weight"]], ids=repr)
def test_a_source_that_is_no_path_and_no_state_dict_is_named(source: object) -> None:
    with pytest.raises(CheckpointError, match=f"load: expected a path or a state dict, got {type(source).__name__}"):
        load(source)


@pytest.mark.parametrize("state", [{}, {0: TARGET["steps"]}, {"weight": 1.0}, {"model": {}}, {"net": {1: 2}}], ids=repr)
def test_a_dict_of_anything_else_than_tensors_by_name_is_named(state: dict[object, object]) -> None:
    with pytest.raises(CheckpointError, match="load: expected tensors by name"):
        load(state)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_names_that_differ_only_in_their_prefix_are_refused(prefix: str) -> None:
    names = re.escape(f"load: expected one tensor for each name, got 'weight', '{prefix}weight'")
    with pytest.raises(CheckpointError, match=names):
        load({**TARGET, f"{prefix}weight": torch.ones(2, 3)})


MADE_OF_ZEROS = {
    "sparse, torch.float32": lambda zeros: zeros.to_sparse(),
    "nested, torch.float32": lambda zeros: torch.nested.nested_tensor([zeros]),
    "on the meta device, torch.float32": lambda zeros: zeros.to("meta"),
    "quantized, torch.qint8": lambda zeros: torch.quantize_per_tensor(zeros, 0.1, 0, torch.qint8),
    "quantized, torch.float8_e4m3fn": lambda zeros: zeros.to(torch.float8_e4m3fn),
    "complex, torch.complex64": lambda zeros: zeros.to(torch.complex64),
    "integer, torch.int32": lambda zeros: zeros.to(torch.int32),
}


@pytest.mark.filterwarnings("ignore:.*(quantize|nested|prototype)")
@pytest.mark.parametrize(("kind", "make"), MADE_OF_ZEROS.items(), ids=MADE_OF_ZEROS)
def test_a_tensor_without_plain_values_is_named(kind: str, make: Callable[[Tensor], Tensor]) -> None:
    message = re.escape(f"weight ({kind}) where the model has (floating, torch.float32)")
    with pytest.raises(CheckpointError, match=f"of the wrong kind: {message}"):
        load({**TARGET, "weight": make(torch.zeros(2, 3))})


def test_values_that_overflow_in_the_models_dtype_are_named() -> None:
    with pytest.raises(CheckpointError, match="not finite: weight"):
        load({**TARGET, "weight": torch.full((2, 3), 1e300, dtype=torch.float64)})


def test_a_checkpoint_in_another_floating_dtype_fits() -> None:
    load({**TARGET, "weight": torch.zeros(2, 3, dtype=torch.bfloat16)})
