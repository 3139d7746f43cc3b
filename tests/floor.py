"""A pytest plugin, ``-p floor``, for `make test-floor`: the tests that the lowest supported versions cannot run."""

from __future__ import annotations

import pytest

_EXPORT = "tests/models/test_models_elsewhere.py::test_network_exports_with_any_batch_height_and_width"
_DIALECTS = "tests/functional/test_dialects.py::test_torch_export"
_RECOMPUTE = "tests/resizers/test_recompute.py::test_compiled_without_a_graph_break_they_are_the_same"
_PARITY = "torch 2.6 exports a strided slice or pool for odd or for even sizes only"
_ATTRIBUTE = "torch 2.6's exporter warns of a tensor without an owner, and warnings are errors"
_SHARDS = "torch 2.6 shards on GPUs only"
_INTERPRETER = "triton 3.2's interpreter uses a conversion that NumPy 1.25 deprecated, and warnings are errors"
_COMPILER = "triton 3.2 lacks the hook by which the test compiles without a GPU"
NOT_ON_THE_FLOOR = {  # the beginning of a test's id, and the reason
    "tests/project/test_fake_cuda.py::": "torch 2.6 needs a CUDA driver even for fake CUDA tensors",
    "tests/project/test_import.py::": "torch 2.6 itself prints a ResourceWarning about a temporary folder",
    f"{_EXPORT}[basic, option A]": _PARITY,
    f"{_EXPORT}[pre-activation, option A after]": _PARITY,
    f"{_EXPORT}[wide, large stem]": _PARITY,
    f"{_DIALECTS}[dtype0-onnx-linear-True]": _ATTRIBUTE,
    f"{_DIALECTS}[dtype1-onnx-linear-True]": _ATTRIBUTE,
    "tests/surgery/test_resolution.py::test_sharded_models_are_adapted_without_their_head": _SHARDS,
    f"{_RECOMPUTE}[batch]": "compiled by torch 2.6, a checkpointed BatchNorm is updated twice",
    "tests/kernels/test_interpreted.py::test_the_kernels_compute_what_the_oracle_does": _INTERPRETER,
    "tests/kernels/test_crop_resize_kernel.py::test_the_kernel_computes_what_the_oracle_does": _INTERPRETER,
    "tests/kernels/test_crop_resize_kernel.py::test_the_kernel_fits_the_chip": _COMPILER,
    "tests/kernels/test_support.py::test_the_inference_kernels_fit_the_chip": _COMPILER,
    "tests/kernels/test_support.py::test_the_training_kernels_fit_the_chip": _COMPILER,
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the listed tests. An entry that matches no test is an error, so that the list stays true."""
    left_out = {item: prefix for item in items for prefix in NOT_ON_THE_FLOOR if item.nodeid.startswith(prefix)}
    if stale := set(NOT_ON_THE_FLOOR) - set(left_out.values()):
        raise pytest.UsageError(f"tests/floor.py: no test id begins with {sorted(stale)}")
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))


def pytest_report_header() -> list[str]:
    """Print the reasons above the run."""
    return [f"not on the floor: {prefix}: {reason}" for prefix, reason in NOT_ON_THE_FLOOR.items()]
