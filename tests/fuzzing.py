"""The number of fuzz cases: ``FUZZ_CASES`` in all, 5,000 by default. Each test tries a share of them and counts it."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

CASES = int(os.environ.get("FUZZ_CASES", "5000"))
done = 0


def count_case() -> None:
    """Count a case; every fuzz test calls it in each of them."""
    global done
    done += 1


def share(part: float, *, steps: int = 1) -> settings:
    """Settings of a test that tries ``part`` of all cases, each of which has at most ``steps`` steps.

    An example of a state machine may end early, so the parts of all tests add up to a little more than one.
    """
    return settings(
        max_examples=max(1, round(part * CASES / steps)),
        stateful_step_count=max(2, steps),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
