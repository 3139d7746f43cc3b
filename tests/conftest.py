"""What all tests share: one thread, a fixed seed, Hypothesis without deadlines, and a reason for skipped GPU tests."""

import os
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from hypothesis import settings
from torch import nn

torch.set_num_threads(1)  # `make test` runs one worker per core

settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def ampere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: type("Properties", (), {"major": 8}))
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)


@pytest.fixture
def sharded() -> Iterator[Callable[[nn.Module], nn.Module]]:
    """``fully_shard`` of FSDP2, in a process group of one process."""
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield partial(fully_shard, mesh=init_device_mesh("cpu", (1,)))
    distributed.destroy_process_group()
