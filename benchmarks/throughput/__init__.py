"""Throughput: ours and the peers on the same inputs in one process, in alternation."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch loads: spinning threads would time the scheduler where cores are shared

from ._tables import write_docs

__all__ = ["write_docs"]
