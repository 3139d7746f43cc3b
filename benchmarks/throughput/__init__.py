"""Throughput: ours and the peers on the same inputs in one process, in alternation."""

import os

os.environ.setdefault(
    "OMP_WAIT_POLICY", "passive"
)  # before torch loads: spinning threads would time the scheduler where cores are shared
os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler, which counts the memory, tells every start and stop

from ._tables import write_docs

__all__ = ["write_docs"]
