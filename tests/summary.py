"""A pytest plugin, ``-p summary``: ``--summary NAME`` writes what a run found as a record of the benchmarks.

The docs page "What we test" shows the records in benchmarks/results/trust.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from benchmarks._records import RESULTS, environment, write


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        "--summary", metavar="NAME", help="write the summary NAME-COMMIT.json into benchmarks/results/trust"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the reports of a run with a summary, once and not in every worker."""
    if config.getoption("--summary") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Summary(config))


class Summary:
    """Counts outcomes and the cases that tests recorded as a property, by the name of the test's file."""

    def __init__(self, config: pytest.Config) -> None:
        self.name = config.getoption("--summary")
        self.arguments = config.invocation_params.args
        self.begin = time.monotonic()
        self.outcomes: Counter[str] = Counter()
        self.cases: Counter[str] = Counter()
        self.failures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one phase of one test."""
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.outcome] += 1
        if report.failed:
            self.failures.append(report.nodeid)
        if report.when == "teardown":
            kind = Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_")
            self.cases[kind] += dict(report.user_properties).get("cases", 0)

    def pytest_sessionfinish(self) -> None:
        """Write the record."""
        settings = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("FUZZ_")]
        found = environment(torch.device("cpu"))
        record = {
            **found,
            "command": " ".join([*settings, "python -m pytest", *self.arguments]),
            "seconds": round(time.monotonic() - self.begin, 1),
            "outcomes": dict(self.outcomes),
            "cases": {kind: count for kind, count in sorted(self.cases.items()) if count},
            "failures": sorted(self.failures),
        }
        write(RESULTS / "trust" / f"{self.name}-{found['commit']}.json", record)
