"""The fragments of the docs page "What we test", made from the committed records."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks._records import RESULTS, Record, read
from benchmarks._tables import Table

KINDS = {  # of fuzz cases, by the name of the test's file
    "arguments": "invalid arguments",
    "boxes": "boxes in transforms",
    "checkpoints": "damaged checkpoints",
    "sampler": "steps of interrupted training",
}


def fuzz(records: dict[str, Record]) -> str:
    """One row per run; the failures of a run by name."""
    rows = [
        {
            "run": f"{record['date']}, {record['commit']}",
            **{title: f"{record['cases'].get(kind, 0):,}" for kind, title in KINDS.items()},
            "all": f"{sum(record['cases'].values()):,}",
            "tests that failed": str(len(record["failures"])),
            "seconds": f"{record['seconds']:,.0f}",
        }
        for record in records.values()
    ]
    failures = [f"- `{name}`\n" for record in records.values() for name in record["failures"]]
    return (
        Table.of(rows).markdown() + ("\nTests that failed, and pass since:\n\n" if failures else "") + "".join(failures)
    )


def mutants(records: dict[str, Record]) -> str:
    """One row per module, and every mutant that was not found."""
    rows, missed = [], {"survived": "", "not found in time": ""}
    for name, record in records.items():
        outcomes = record["outcomes"]
        counts = Counter(outcomes.values())
        low, high = wilson(counts["found"], len(outcomes))
        rows.append(
            {
                "module": f"`{name.removeprefix('mutants-')}`",
                "possible faults": f"{record['mutants']:,}",
                "tried": str(len(outcomes)),
                "found": str(counts["found"]),
                **{outcome: str(counts[outcome]) for outcome in missed},
                "share found": f"{counts['found'] / len(outcomes):.0%}",
                "95 % interval": f"{low:.0%} to {high:.0%}",
            }
        )
        for outcome in missed:
            missed[outcome] += "".join(f"- `{change}`\n" for change, found in outcomes.items() if found == outcome)
    lists = [f"\n{outcome.capitalize()}:\n\n{changes}" for outcome, changes in missed.items() if changes]
    return Table.of(rows).markdown() + "".join(lists)


def wilson(found: int, tried: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927, JASA 22)."""
    z, share = 1.96, found / tried
    center, spread = share + z**2 / (2 * tried), z * math.sqrt(share * (1 - share) / tried + z**2 / (4 * tried**2))
    return (center - spread) / (1 + z**2 / tried), (center + spread) / (1 + z**2 / tried)


def survey(records: dict[str, Record]) -> str:
    """One row per library, and every model that was not taken."""
    rows, others = [], ""
    for library, outcomes in next(iter(records.values()))["models"].items():
        done, refused = len(outcomes.get("done", [])), len(outcomes.get("refused", []))
        count = sum(len(names) for names in outcomes.values())
        rows.append(
            {
                "models of": library,
                "models": str(count),
                "reported": str(done),
                "refused with a reason": str(refused),
                "other errors": str(count - done - refused),
            }
        )
        for outcome in sorted(set(outcomes) - {"done"}, reverse=True):
            others += f"- {library}, {outcome}: {', '.join(f'`{name}`' for name in outcomes[outcome])}\n"
    return Table.of(rows).markdown() + (f"\nNot reported:\n\n{others}" if others else "")


def platforms(records: dict[str, Record]) -> str:
    """One row per machine and set of versions, with what ran there."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, record in records.items():
        versions = record["versions"]
        key = (record["device"], versions["python"], versions["torch"], versions.get("torchvision", ""))
        rows.setdefault(key, []).append(name.partition("-")[0])
    header = ["device", "Python", "torch", "torchvision", "runs"]  # their commands are below the other tables
    return Table(header, [[*key, ", ".join(sorted(set(names)))] for key, names in rows.items()], left=5).markdown()


FRAGMENTS: dict[str, tuple[str, Callable[[dict[str, Record]], str], str]] = {  # records, table, command
    "fuzz": ("fuzz-*.json", fuzz, "make fuzz"),
    "mutants": ("mutants-*.json", mutants, "make mutants"),
    "survey": ("survey.json", survey, "python -m benchmarks.trust survey"),
    "platforms": ("*.json", platforms, "make fuzz"),
}


def write_docs(folder: Path, results: Path = RESULTS / "trust") -> None:
    """Write every fragment of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (pattern, table, command) in FRAGMENTS.items():
        records = sorted(((file.stem, read(file)) for file in results.glob(pattern)), key=lambda pair: pair[1]["date"])
        text = table(dict(records)) if records else f"Not run yet: `{command}`.\n"
        text += _sources(records) if records and table is not platforms else ""
        (folder / f"trust-{name}.md").write_text(text)


def _sources(records: list[tuple[str, Record]]) -> str:
    """The commands and machines below a table, each once."""
    lines = [f"`{record['command']}`, {record['device']}, torch {record['versions']['torch']}" for _, record in records]
    return "\n" + "".join(f"{line}  \n" for line, _ in itertools.groupby(sorted(lines)))
