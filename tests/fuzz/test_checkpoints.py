"""Damaged checkpoints: each loads correctly or raises CheckpointError, and no code in one runs."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fuzzing import count_case, share
from resizenet import CheckpointError, FixedResizer
from resizenet.models import BasicBlock, ResNet, load_checkpoint

edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8)


def network() -> nn.Module:
    return ResNet(BasicBlock, (1,), (2,), num_classes=2)


def saved(*, legacy: bool) -> bytes:
    torch.manual_seed(7)
    stream = io.BytesIO()
    torch.save(network().state_dict(), stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


FILES = {legacy: saved(legacy=legacy) for legacy in (False, True)}


def damage(content: bytes, changes: list[tuple[float, int]], end: float) -> bytes:
    """Write bytes at shares of the length, then cut the file off at a share of its length."""
    damaged = bytearray(content)
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    return bytes(damaged[: round(end * len(damaged))])


def same_kind(state: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    pairs = [(tensor, other[name]) for name, tensor in state.items()]
    return all(a.shape == b.shape and a.dtype == b.dtype and bool(a.isfinite().all()) for a, b in pairs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@share(0.1)
@given(changes=edits, end=st.sampled_from([1.0, 1.0, 1.0, 0.5, 0.99]) | st.floats(0, 1), legacy=st.booleans())
def test_a_damaged_file_loads_or_is_refused_and_then_nothing_changes(
    folder: Path, changes: list[tuple[float, int]], end: float, legacy: bool
) -> None:
    count_case()
    file = folder / "damaged.pt"
    file.write_bytes(damage(FILES[legacy], changes, end))
    model = network()
    wrapped = FixedResizer(8).wrap(network())
    for target, load in ((model, lambda: load_checkpoint(model, file)), (wrapped, lambda: wrapped.load_backbone(file))):
        before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
        try:
            load()
        except CheckpointError:
            torch.testing.assert_close(target.state_dict(), before, rtol=0, atol=0)
        assert same_kind(target.state_dict(), before)


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_checkpoint_never_runs(folder: Path, depth: int, legacy: bool) -> None:
    ran, file = folder / "ran", folder / "bomb.pt"
    content: object = {"weight": torch.ones(1), "extra": _Bomb(ran)}
    for _ in range(depth):
        content = {"state_dict": content}
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError):
        load_checkpoint(network(), file)
    assert not ran.exists()
    pickle.loads(pickle.dumps(_Bomb(ran)))  # it would have run
    assert ran.exists()
    ran.unlink()
