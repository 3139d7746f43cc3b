"""The number of fuzz cases: ``FUZZ_CASES`` in all, 5,000 by default, of which each test takes a share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

CASES = int(os.environ.get("FUZZ_CASES", "5000"))


def share(part: float, *, steps: int = 1) -> settings:
    """Settings of a test that tries ``part`` of all cases, each of which has ``steps`` steps."""
    return settings(
        max_examples=max(1, round(part * CASES / steps)),
        stateful_step_count=max(2, steps),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
