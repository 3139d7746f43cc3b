"""Throughput: ours and the peers on the same inputs in one process, in alternation."""

import os

# Both must be set before torch is loaded. Threads that spin while they wait disturb the timing on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # silences the profiler that counts the memory

from ._tables import write_docs

__all__ = ["write_docs"]
