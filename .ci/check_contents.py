"""A wheel holds the package, its licence and its metadata, an sdist text and pictures; run as `check_contents.py dist/*` from the root."""

import sys
import tarfile
import zipfile
from pathlib import Path

SOURCE = Path("src")
IN_AN_SDIST = {"", ".py", ".typed", ".md", ".rst", ".txt", ".json", ".toml", ".cff", ".png", ".svg"}


def problems_of_wheel(wheel: Path) -> list[str]:
    """What is in the wheel and should not be, and what is not and should."""
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    expected = {str(path.relative_to(SOURCE)) for path in SOURCE.glob("resizenet/**/*.py")} | {"resizenet/py.typed"}
    expected |= {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    return [f"unexpected: {name}" for name in sorted(found - expected)] + [
        f"missing: {name}" for name in sorted(expected - found)
    ]


def problems_of_sdist(sdist: Path) -> list[str]:
    """Weights, data and caches that lay about when it was built."""
    with tarfile.open(sdist) as archive:
        return [f"unexpected: {name}" for name in archive.getnames() if Path(name).suffix not in IN_AN_SDIST]


if __name__ == "__main__":
    found = {
        path: problems_of_wheel(path) if path.suffix == ".whl" else problems_of_sdist(path)
        for path in map(Path, sys.argv[1:])
    }
    for path, problems in found.items():
        print(
            "\n  ".join(
                [
                    f"{path.name}: {'not as it should be' if problems else 'holds what it should and nothing else'}",
                    *problems,
                ]
            )
        )
    sys.exit(any(found.values()))
