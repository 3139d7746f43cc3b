"""``import resizenet`` in a fresh interpreter, compared with plain torch and torchvision: it touches nothing else."""

import json
import subprocess
import sys
from typing import Any

import pytest

PROBE = """
import json, sys
import torch, torchvision

before = set(sys.modules)
events = []
sys.addaudithook(lambda event, args: events.append((event, [str(arg) for arg in args])))
import resizenet

new = {name.partition(".")[0] for name in set(sys.modules) - before}
watched = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "urllib.", "ctypes.dlopen")
writes = [args for event, args in list(events) if event == "open" and set(args[1]) & set("wax+")]
print(json.dumps({
    "new": sorted(new),
    "events": [event for event, _ in list(events) if event.startswith(watched)],
    "writes": writes,
    "cuda": torch.cuda.is_initialized(),
}))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", PROBE], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_only_the_library_and_einops_are_loaded_beside_torch(found: dict[str, Any]) -> None:
    third_parties = {name for name in found["new"] if name not in sys.stdlib_module_names}
    assert third_parties <= {"resizenet", "einops", "torch", "torchvision"}


def test_no_socket_process_or_library_is_opened(found: dict[str, Any]) -> None:
    assert found["events"] == []


def test_nothing_is_written(found: dict[str, Any]) -> None:
    assert found["writes"] == []


def test_cuda_is_not_initialized(found: dict[str, Any]) -> None:
    assert found["cuda"] is False
