"""Tables of the results: for a terminal, and for the docs."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from rich.console import Console

from benchmarks import _records
from benchmarks._records import Record
from benchmarks._tables import Table

from ._compare import Row, Setting

RESULTS = _records.RESULTS / "throughput"
EXPECTED = tuple(
    f"{suite}-{version}"
    for suite in ("resizer", "models", "transforms", "dialects", "report")
    for version in ("cpu-quick", "cuda")
)


def read_suite(file: Path) -> Record:
    """Read the record of a suite; SystemExit with one line if the file is not one."""
    return _records.read(file, "suite", "ceilings", "rows")


def by_setting(rows: list[Row]) -> list[list[Row]]:
    """Return the rows of each table, in the order of their first rows."""
    order = list(dict.fromkeys(map(Setting.of, rows)))
    ranked = sorted(rows, key=lambda row: order.index(Setting.of(row)))
    return [list(group) for _, group in groupby(ranked, key=Setting.of)]


def table_of(rows: list[Row]) -> Table:
    """Make the table of one setting's rows."""
    timed = [row for row in rows if "error" not in row]
    fastest = {
        flag: min([row["median_s"] for row in timed if row[flag]], default=None) for flag in ("baseline", "peer")
    }
    references = [row for row in timed if row["baseline"]] or [row for row in timed if row["peer"]]
    memory = references[0].get("peak_bytes") if references else None
    return Table.of([_cells(row, fastest, memory) for row in rows], title=Setting.of(rows[0]).title, left=2)


def _cells(row: Row, fastest: dict[str, float | None], memory: int | None) -> dict[str, str]:
    cells = {"who": row["who"], "mode, layout": f"{row['mode']}, {row['layout']}"}
    if "error" in row:
        names = ("speed / baseline", "speed / best peer", "floor / time", "peak MB", "memory / baseline")
        return cells | {"ms (quartiles)": f"failed: {row['error']}".replace("|", "/")} | dict.fromkeys(names, "")
    median, low, high = (digits(1e3 * row[key]) for key in ("median_s", "quartile_low_s", "quartile_high_s"))
    peak = row.get("peak_bytes")
    speeds = {key: "" if seconds is None else f"{seconds / row['median_s']:.2f}" for key, seconds in fastest.items()}
    floor = f"{100 * row['floor_s'] / row['median_s']:.2g} % ({row['bound']})" if "floor_s" in row else ""
    return cells | {
        "ms (quartiles)": f"{median} ({low}-{high})",
        "speed / baseline": speeds["baseline"],
        "speed / best peer": speeds["peer"],
        "floor / time": floor,
        "peak MB": "" if peak is None else digits(peak / 1e6) if peak >= 1e4 else "< 0.01",
        "memory / baseline": f"{peak / memory:.2f}" if peak is not None and memory else "",
    }


def digits(value: float) -> str:
    """Return the number with three digits, or with all digits before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def source(record: Record) -> str:
    """Return where the rows come from, and the rates that the floors were computed with."""
    rates = {name: digits(rate / 1e9) for name, rate in record["ceilings"].items()}
    texts = [f"{rate} {'GB/s copied' if name == 'copy' else f'GFLOP/s in {name}'}" for name, rate in rates.items()]
    ceilings = f" Ceilings: {', '.join(texts)}." if texts else ""
    machine = f"{record['device']}; torch {record['versions']['torch']}"
    note = f" {record['note']}" if "note" in record else ""
    return f"`{record['command']}`; {machine}; {record['date']}; commit {record['commit']}.{ceilings}{note}\n"


def show(rows: list[Row], console: Console) -> None:
    """Print the tables of all settings."""
    for group in by_setting(rows):
        console.print(table_of(group).rich())


def show_results(suite: str | None, results: Path, console: Console) -> None:
    """Print the results of a suite, or of all; SystemExit if there are none."""
    files = sorted(results.glob(f"{suite or ''}*.json"))
    if not files:
        raise SystemExit(f"no results of {suite or 'any suite'} in {results}")
    for file in files:
        console.rule(file.stem)
        record = read_suite(file)
        show(record["rows"], console)
        console.print(source(record), highlight=False)


def write_docs(folder: Path, results: Path = RESULTS) -> None:
    """Write a fragment for every file of results and for each of its tasks, and for every suite that was not run.

    The quick run of a suite on a GPU stands in for the whole one until that is run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {file.stem: file for file in sorted(results.glob("*.json"))}
    for name in EXPECTED:
        if name not in files and f"{name}-quick" in files:
            files[name] = files[f"{name}-quick"]
        (folder / f"throughput-{name}.md").write_text(_not_run(name))
    for name, file in files.items():
        record = read_suite(file)
        (folder / f"throughput-{name}.md").write_text(_fragment(record, record["rows"]))
        for task in dict.fromkeys(row["task"] for row in record["rows"]):
            rows = [row for row in record["rows"] if row["task"] == task]
            slug = task.replace(", ", "-").replace(" ", "-")
            (folder / f"throughput-{name}-{slug}.md").write_text(_fragment(record, rows))


def _fragment(record: Record, rows: list[Row]) -> str:
    return "\n".join(table_of(group).markdown() for group in by_setting(rows)) + "\n" + source(record)


def _not_run(name: str) -> str:
    suite, device, *quick = name.split("-")
    command = f"python -m benchmarks.throughput run {suite} --device {device}{' --quick' if quick else ''}"
    return f"Not run yet: `{command} --out benchmarks/results/throughput`\n"
