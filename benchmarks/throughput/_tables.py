"""Tables of the results: for a terminal, and for the docs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks._markdown import markdown

from ._paired import Row, Setting
from ._record import RESULTS, by_setting, load, setting_of

EXPECTED = tuple(
    f"{suite}-{version}" for suite in ("resizer", "models", "transforms", "report") for version in ("cpu-quick", "cuda")
)
_LEFT = 2


def digits(value: float) -> str:
    """Three of them, or all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def _milliseconds(row: Row, rows: list[Row]) -> str:
    return f"{digits(1e3 * row['median_s'])} ({digits(1e3 * row['quartile_low_s'])}-{digits(1e3 * row['quartile_high_s'])})"


def _speed_against(flag: str) -> Callable[[Row, list[Row]], str]:
    def cell(row: Row, rows: list[Row]) -> str:
        seconds = [other["median_s"] for other in rows if other.get(flag)]
        return f"{min(seconds) / row['median_s']:.2f}" if seconds else ""

    return cell


def _floor(row: Row, rows: list[Row]) -> str:
    return f"{100 * row['floor_s'] / row['median_s']:.2g} % ({row['bound']})" if "floor_s" in row else ""


def _megabytes(row: Row, rows: list[Row]) -> str:
    if "peak_bytes" not in row:
        return ""
    return digits(row["peak_bytes"] / 1e6) if row["peak_bytes"] >= 1e4 else "< 0.01"


def _memory_ratio(row: Row, rows: list[Row]) -> str:
    """Against the first baseline, or the first peer of records that have none."""
    first = next(
        other
        for other in sorted(rows, key=lambda other: not other.get("baseline"))
        if other.get("baseline") or other["peer"]
    )
    return f"{row['peak_bytes'] / first['peak_bytes']:.2f}" if "peak_bytes" in row and first.get("peak_bytes") else ""


COLUMNS: dict[str, Callable[[Row, list[Row]], str]] = {
    "who": lambda row, rows: row["who"],
    "mode, layout": lambda row, rows: f"{row['mode']}, {row['layout']}",
    "ms (quartiles)": _milliseconds,
    "speed / baseline": _speed_against("baseline"),
    "speed / best peer": _speed_against("peer"),
    "floor / time": _floor,
    "peak MB": _megabytes,
    "memory / baseline": _memory_ratio,
}


@dataclass(frozen=True)
class Page:
    """One table: the rows of a setting, without the columns that are empty in all of them."""

    title: str
    header: list[str]
    lines: list[list[str]]

    @classmethod
    def of(cls, rows: list[Row]) -> Page:
        """``rows`` are those of one setting."""
        columns = {name: [cell(row, rows) for row in rows] for name, cell in COLUMNS.items()}
        columns = {name: cells for name, cells in columns.items() if any(cells)}
        return cls(
            Setting(*setting_of(rows[0])).title,
            list(columns),
            [list(line) for line in zip(*columns.values(), strict=True)],
        )

    def markdown(self) -> str:
        """For the docs."""
        return f"**{self.title}**\n\n" + markdown(self.header, self.lines, left=_LEFT)

    def rich(self) -> Table:
        """For a terminal."""
        table = Table(title=self.title, title_justify="left")
        for index, name in enumerate(self.header):
            table.add_column(name, justify="left" if index < _LEFT else "right")
        for line in self.lines:
            table.add_row(*line)
        return table


def source(record: dict[str, Any]) -> str:
    """Where the rows come from, and what the floors were computed with."""
    ceilings = record.get("ceilings", {})
    rates = [
        f"{digits(rate / 1e9)} {'GB/s copied' if name == 'copy' else f'GFLOP/s in {name}'}"
        for name, rate in ceilings.items()
    ]
    measured = f" Ceilings: {', '.join(rates)}." if rates else ""
    return f"`{record['command']}`; {record['device']}; torch {record['versions']['torch']}; {record['date']}; commit {record['commit']}.{measured}\n"


def show(rows: list[Row], console: Console) -> None:
    """Print every table."""
    for group in by_setting(rows):
        console.print(Page.of(group).rich())


def show_committed(suite: str | None, results: Path, console: Console) -> None:
    """Print the results of a suite, or of all; SystemExit where there are none."""
    files = sorted(results.glob(f"{suite or ''}*.json"))
    if not files:
        raise SystemExit(f"no results of {suite or 'any suite'} in {results}")
    for file in files:
        console.rule(file.stem)
        record = load(file)
        show(record["rows"], console)
        console.print(source(record), highlight=False)


def write_docs(folder: Path, results: Path = RESULTS) -> None:
    """A fragment for every results file and one for each of its tasks; where a suite has not been run, one that says how."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in EXPECTED:
        (folder / f"throughput-{name}.md").write_text(_not_run(name))
    for file in sorted(results.glob("*.json")):
        record = load(file)
        (folder / f"throughput-{file.stem}.md").write_text(_fragment(record, record["rows"]))
        for task in dict.fromkeys(row["task"] for row in record["rows"]):
            rows = [row for row in record["rows"] if row["task"] == task]
            (folder / f"throughput-{file.stem}-{task.replace(', ', '-').replace(' ', '-')}.md").write_text(
                _fragment(record, rows)
            )


def _fragment(record: dict[str, Any], rows: list[Row]) -> str:
    return "\n".join(Page.of(group).markdown() for group in by_setting(rows)) + "\n" + source(record)


def _not_run(name: str) -> str:
    suite, device, *quick = name.split("-")
    command = f"python -m benchmarks.throughput run {suite} --device {device}{' --quick' if quick else ''}"
    return f"Not run yet: `{command} --out benchmarks/results/throughput`\n"
