"""Comparisons: candidates are checked to give the same result, then called in alternation."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from ._roofline import Ceilings, Work
from ._timing import alternate, peak_memory, summary, threads

Row = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What the rows of one table have in common: a task, its case, the dtype's name and the number of images."""

    task: str
    case: str
    dtype: str
    batch: int

    @property
    def title(self) -> str:
        """The heading of the table."""
        return f"{self.task}, {self.case}, {self.dtype}, batch of {self.batch}"

    @classmethod
    def of(cls, row: Row) -> Setting:
        """Return the setting of a row."""
        return cls(row["task"], row["case"], row["dtype"], row["batch"])


@dataclass(frozen=True)
class Candidate:
    """One way to do a setting's work."""

    who: str
    call: Callable[[], object]  # is timed
    _: KW_ONLY
    mode: str = "eager"
    layout: str = "contiguous"  # of the images in memory
    peer: bool = False  # another library's
    baseline: bool = False  # what people usually run; speeds are also given against the fastest of these
    answer: Callable[[], Tensor] | None = None  # gives what has to be equal, if not ``call``
    group: str = ""  # only candidates of the same group have to be equal
    margin: int = 0  # pixels at the border that are not compared

    def row(self, setting: Setting) -> Row:
        """Return the fields that name the candidate."""
        names = ("who", "mode", "layout", "peer", "baseline")
        return asdict(setting) | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Comparison:
    """The candidates of a setting."""

    candidates: Sequence[Candidate]
    tolerance: float  # how far results may differ, as ``difference`` measures it
    work: Work | None = None  # for the floor
    memory: bool = True  # whether the peak memory is measured
    threads: int | None = None  # of torch; None for all


Jobs = dict[Setting, Callable[[], Comparison]]


class Bench:
    """Measures comparisons on a device.

    Args:
        device: of all candidates.
        rounds: calls of each candidate that count.
    """

    def __init__(self, device: torch.device, rounds: int) -> None:
        self.device = device
        self.rounds = rounds
        self.ceilings = Ceilings(device)

    def run(self, jobs: Jobs) -> Iterator[list[Row]]:
        """Yield the rows of each job. A job that fails has one row, which says why."""
        for setting, job in jobs.items():
            print(setting.title, flush=True)
            torch.compiler.reset()  # torch stops compiling the same code after a few times
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            try:
                rows = self.rows(setting, job())
            except Exception as error:  # whatever it is, the other settings go on
                rows = [Candidate("all candidates", job).row(setting) | {"error": _reason(error)}]
            yield rows

    def rows(self, setting: Setting, comparison: Comparison) -> list[Row]:
        """Return a row per candidate. One that fails or gives another result is not timed, and its row says why."""
        with threads(comparison.threads):
            errors = check(comparison)
            calls = {index: found.call for index, found in enumerate(comparison.candidates) if index not in errors}
            seconds = alternate(calls, self.device, self.rounds)
            floor = {} if comparison.work is None else self.ceilings.floor(comparison.work, setting.dtype)
            rows = []
            for index, candidate in enumerate(comparison.candidates):
                measured = {"error": errors[index]} if index in errors else summary(seconds[index]) | floor
                # CUDA graphs hold their memory between the calls.
                if comparison.memory and index not in errors and candidate.mode != "max-autotune":
                    measured["peak_bytes"] = peak_memory(candidate.call, self.device)
                rows.append(candidate.row(setting) | measured)
            return rows


def check(comparison: Comparison) -> dict[int, str]:
    """Call every candidate once. Return, by index, why it failed or how it differs from the first of its group."""
    first: dict[str, Tensor] = {}
    errors = {}
    for index, candidate in enumerate(comparison.candidates):
        try:
            got = (candidate.answer or candidate.call)()
            expected = first.get(candidate.group, got)
            error = difference(expected, got, candidate.margin)
        except Exception as failure:  # whatever it is, the other candidates go on
            errors[index] = _reason(failure)
            continue
        if error <= comparison.tolerance:
            first.setdefault(candidate.group, got.clone())  # a CUDA graph writes its next result to the same place
        else:
            errors[index] = f"another result, by {error:.2g} where {comparison.tolerance:.2g} is rounding"
    return errors


def difference(expected: Tensor, got: Tensor, margin: int = 0) -> float:
    """Return the largest difference: absolute for integers, else relative to the largest value expected."""
    if expected.shape != got.shape:
        return float("inf")
    if margin:
        expected, got = (x[..., margin:-margin, margin:-margin] for x in (expected, got))
    if not expected.is_floating_point():
        return float((expected.long() - got.long()).abs().max())
    return float((expected.double() - got.double()).abs().max() / expected.double().abs().max())


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def installed(package: str) -> bool:
    """Return whether an optional peer is installed, and say so if it is not."""
    found = find_spec(package) is not None
    if not found:
        print(f"{package} is not installed: its rows are left out", flush=True)
    return found
