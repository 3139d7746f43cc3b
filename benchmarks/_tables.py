"""Tables for the docs and for a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    """Rows of text below a header."""

    header: list[str]
    rows: list[list[str]]
    title: str = ""
    left: int = 1  # so many columns are aligned to the left, the others to the right

    @classmethod
    def of(cls, rows: list[dict[str, str]], *, title: str = "", left: int = 1) -> Table:
        """Make a table of rows that name their cells, without the columns that are empty in every row."""
        header = [name for name in rows[0] if any(row[name] for row in rows)]
        return cls(header, [[row[name] for name in header] for row in rows], title, left)

    def markdown(self) -> str:
        """Return the table as Markdown."""
        rule = [":--" if index < self.left else "--:" for index in range(len(self.header))]
        lines = "".join("| " + " | ".join(cells) + " |\n" for cells in (self.header, rule, *self.rows))
        return f"**{self.title}**\n\n{lines}" if self.title else lines

    def rich(self) -> RichTable:
        """Return the table for a terminal."""
        from rich.table import Table as RichTable  # Markdown does not need it

        table = RichTable(title=self.title, title_justify="left")
        for index, name in enumerate(self.header):
            table.add_column(name, justify="left" if index < self.left else "right")
        for cells in self.rows:
            table.add_row(*cells)
        return table
