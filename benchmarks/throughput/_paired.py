"""Paired rows: candidates that are checked to give the same, then called in alternation."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from ._roofline import Ceilings, Work
from ._timing import alternate, peak_memory, summary

Row = dict[str, Any]
Jobs = dict[str, Callable[[], list[Row]]]


@dataclass(frozen=True)
class Setting:
    """What the rows of one table have in common.

    Attributes:
        task: what is done.
        case: to what.
        dtype: name of it.
        batch: images.
    """

    task: str
    case: str
    dtype: str
    batch: int

    @property
    def title(self) -> str:
        """The heading of the table."""
        return f"{self.task}, {self.case}, {self.dtype}, batch of {self.batch}"


@dataclass(frozen=True)
class Candidate:
    """One way to do a setting's work.

    Attributes:
        who: name of it.
        call: what is timed.
        mode: eager, compiled and so on.
        layout: of the images in memory.
        peer: not ours.
        baseline: what people run as a rule; speeds are given against the fastest of these, too.
        answer: what has to be the same, the result of ``call`` unless given.
        group: only the candidates of one group have to give the same.
        margin: pixels at the border that are not compared.
    """

    who: str
    call: Callable[[], object]
    mode: str = "eager"
    layout: str = "contiguous"
    peer: bool = False
    baseline: bool = False
    answer: Callable[[], Tensor] | None = None
    group: str = ""
    margin: int = 0


class MismatchError(Exception):
    """Candidates that should give the same do not, so none was timed."""


class Bench:
    """Where and how often things are timed.

    Args:
        device: of all candidates.
        rounds: calls of each candidate that count.

    Attributes:
        ceilings: of the device.
        failures: what ``run`` left out, and why.
    """

    def __init__(self, device: torch.device, rounds: int) -> None:
        self.device = device
        self.rounds = rounds
        self.ceilings = Ceilings(device)
        self.failures: list[str] = []

    def rows(
        self,
        setting: Setting,
        candidates: Sequence[Candidate],
        *,
        tolerance: float,
        work: Work | None = None,
        memory: bool = True,
    ) -> list[Row]:
        """A row for each candidate; MismatchError, before anything is timed, where candidates of a group differ by more than ``tolerance``."""
        check(candidates, tolerance)
        seconds = alternate(
            {index: candidate.call for index, candidate in enumerate(candidates)}, self.device, self.rounds
        )
        floor = {} if work is None else self.ceilings.floor(work, setting.dtype)
        return [
            {
                **asdict(setting),
                **_named(candidate),
                **summary(seconds[index]),
                **(self._memory(candidate) if memory else {}),
                **floor,
            }
            for index, candidate in enumerate(candidates)
        ]

    def _memory(self, candidate: Candidate) -> dict[str, int]:
        """Not of CUDA graphs, which hold theirs between the calls."""
        return {} if candidate.mode == "max-autotune" else {"peak_bytes": peak_memory(candidate.call, self.device)}

    def run(self, jobs: Jobs) -> Iterator[list[Row]]:
        """The rows of each job, begun with nothing left over from the one before: torch gives up after a few compilations of the same code."""
        for title, job in jobs.items():
            print(title, flush=True)
            torch.compiler.reset()
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            try:
                yield job()
            except MismatchError as error:
                self.failures.append(f"{title}: {error}")


def _named(candidate: Candidate) -> Row:
    return {key: getattr(candidate, key) for key in ("who", "mode", "layout", "peer", "baseline")}


def check(candidates: Sequence[Candidate], tolerance: float) -> None:
    """MismatchError unless each candidate gives what the first of its group gives."""
    first: dict[str, Tensor] = {}
    for candidate in candidates:
        answer = candidate.answer or candidate.call
        got = answer()
        assert isinstance(got, Tensor), candidate
        expected = first.setdefault(
            candidate.group, got.clone()
        )  # a CUDA graph writes its next result to the same place
        error = difference(expected, got, candidate.margin)
        if not error <= tolerance:
            raise MismatchError(
                f"{candidate.who} ({candidate.mode}, {candidate.layout}) gives something else, by {error:.2g} where {tolerance:.2g} is rounding"
            )


def difference(expected: Tensor, got: Tensor, margin: int = 0) -> float:
    """The largest one, of whole numbers as it is, of others in units of the largest value expected; infinite where shapes differ."""
    if expected.shape != got.shape:
        return float("inf")
    if margin:
        expected, got = (x[..., margin:-margin, margin:-margin] for x in (expected, got))
    if not expected.is_floating_point():
        return float((expected.long() - got.long()).abs().max())
    return float((expected.double() - got.double()).abs().max() / expected.double().abs().max())


@functools.cache
def note(text: str) -> None:
    """Say it, once."""
    print(text, flush=True)


def installed(package: str) -> bool:
    """Whether an optional peer is there; a line says so if not."""
    found = find_spec(package) is not None
    if not found:
        note(f"{package} is not installed: its rows are left out")
    return found
