"""``python -m benchmarks.trust``: how many seeded faults the tests of a module find; which models ``report`` takes.

With the name of a module, a sample of its mutants is tested, by the tests of that module. With "survey", ``report`` is
called with the models of three libraries.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.util
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks._records import RESULTS, environment, read, write

from ._mutants import count_mutants, mutant
from ._survey import survey

SOURCES, TESTS = (Path(__file__).parents[2] / folder for folder in ("src", "tests"))
MODULES = ("_sizes", "functional", "resizers", "transforms", "surgery")
EXAMPLES = 10  # of each Hypothesis test
SECONDS = 45  # of a processor's time for the tests of one mutant, their imports included
PRELOADED = ("einops", "hypothesis", "numpy", "PIL.Image", "pytest", "timm", "torchvision", "torch._dynamo", "rich")


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Loads one file of the package from another source, and all others as usual."""

    def __init__(self, path: Path, source: str) -> None:
        self.path, self.source = path, source
        self.name = ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec of that file only."""
        folders = [str(self.path.parent)] if self.path.stem == "__init__" else None
        options = {"loader": self, "submodule_search_locations": folders}
        return importlib.util.spec_from_file_location(fullname, self.path, **options) if fullname == self.name else None

    def get_filename(self, fullname: str) -> str:
        """Return the path of the file."""
        return str(self.path)

    def get_data(self, path: str | bytes) -> bytes:
        """Return the source; nothing is read from or written to compiled files."""
        return self.source.encode()


def in_child(path: Path, source: str, tests: list[str]) -> None:
    """Run the tests with the mutated file; the exit code of the process is pytest's."""
    import pytest
    from hypothesis import settings

    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    for name in [name for name in sys.modules if name.partition(".")[0] == "resizenet"]:
        del sys.modules[name]
    sys.meta_path.insert(0, Mutated(path, source))
    settings.register_profile("mutants", deadline=None, max_examples=EXAMPLES, derandomize=True)
    options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "--hypothesis-profile", "mutants"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # the plugins are loaded already
    for group in (tests[:-1], tests[-1:]):  # collecting the tests of a folder takes many seconds
        if group and (code := pytest.main([*options, *group])):
            os._exit(int(code))
    os._exit(0)


def run_tests(path: Path, source: str, tests: list[str]) -> str:
    """Run the tests on a mutant in a forked process: "found", "survived" or "not found in time"."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        try:
            in_child(path, source, tests)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return "not found in time"
    return "survived" if status == 0 else "found"


def files_of_tests(path: Path, module: str) -> list[str]:
    """The tests of the module, those named after the file or its folder first."""
    if module == "_sizes":
        return [str(TESTS / "test_sizes.py")]
    folder, names = TESTS / module, (path.stem.strip("_"), path.parent.name.strip("_"))
    mirrored = [file for name in names for file in sorted(folder.glob(f"test_{name}*.py"))]
    return [str(file) for file in (*dict.fromkeys(mirrored), folder)]


def sample_of(module: str, count: int, seed: int) -> tuple[int, list[tuple[Path, str, str]]]:
    """The number of all mutants of a module, and a sample of them as (file, change, source)."""
    path = SOURCES / "resizenet" / module
    files = sorted(path.rglob("*.py")) or [path.with_suffix(".py")]
    found = [(file, index) for file in files for index in range(count_mutants(file.read_text()))]
    sample = random.Random(seed).sample(found, min(count, len(found)))
    return len(found), [(file, *mutant(file.read_text(), index)) for file, index in sample]


def main() -> None:
    """Run what the arguments say and write its record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust", description=__doc__)
    parser.add_argument("what", choices=(*MODULES, "survey"))
    parser.add_argument("--sample", type=int, default=40, help="how many mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--minutes", type=float, default=9, help="time of this call")
    options = parser.parse_args()
    if options.what == "survey":
        record = {**environment(torch.device("cpu")), "command": "python -m benchmarks.trust survey"}
        write(RESULTS / "trust" / "survey.json", {**record, "models": survey()})
    else:
        run_mutants(options.what, options.sample, options.seed, options.minutes)


def run_mutants(module: str, size: int, seed: int, minutes: float) -> None:
    """Test the mutants that the record of the module lacks, until the time is over; another call goes on."""
    for name in PRELOADED:
        importlib.import_module(name)
    begin = time.monotonic()
    count, sample = sample_of(module, size, seed)
    file = RESULTS / "trust" / f"mutants-{module}.json"
    outcomes: dict[str, str] = read(file, "outcomes")["outcomes"] if file.exists() else {}
    path = sample[0][0]
    if run_tests(path, path.read_text(), files_of_tests(path, module)) == "found":
        raise SystemExit(f"the tests of {module} fail without a mutation")
    for path, change, source in sample:
        name = f"{path.relative_to(SOURCES)}, {change}"
        if name in outcomes or time.monotonic() - begin > 60 * minutes:
            continue
        outcomes[name] = run_tests(path, source, files_of_tests(path, module))
        print(outcomes[name], name, flush=True)
        command = f"python -m benchmarks.trust {module} --sample {size} --seed {seed}"
        record = {**environment(torch.device("cpu")), "command": command, "mutants": count, "outcomes": outcomes}
        write(file, record)


if __name__ == "__main__":
    main()
