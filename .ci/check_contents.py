"""Check that a wheel holds the package, its license and its metadata only, and an sdist text and pictures only.

Run as ``.ci/check_contents.py dist/*`` from the root of the repository.
"""

import sys
import tarfile
import zipfile
from pathlib import Path

SOURCE = Path("src")
WEIGHTS = "resizenet/models/weights/*"  # each a .pt with its .json
IN_AN_SDIST = {"", ".py", ".typed", ".md", ".rst", ".txt", ".json", ".toml", ".cff", ".js", ".png", ".svg"}


def problems_of_wheel(wheel: Path) -> list[str]:
    """Files that the wheel should not hold, and files that it lacks."""
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    expected = {str(path.relative_to(SOURCE)) for path in SOURCE.glob("resizenet/**/*.py")} | {"resizenet/py.typed"}
    expected |= {str(path.relative_to(SOURCE)) for path in SOURCE.glob(WEIGHTS)}
    expected |= {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    return [f"unexpected: {name}" for name in sorted(found - expected)] + [
        f"missing: {name}" for name in sorted(expected - found)
    ]


def problems_of_sdist(sdist: Path) -> list[str]:
    """Files of another kind than source, docs and the package's weights, such as data and caches."""
    with tarfile.open(sdist) as archive:
        names = [name for name in archive.getnames() if Path(name).suffix not in IN_AN_SDIST]
    return [f"unexpected: {name}" for name in names if not Path(name).match(f"*/src/{WEIGHTS}.pt")]


if __name__ == "__main__":
    failed = False
    for path in map(Path, sys.argv[1:]):
        problems = problems_of_wheel(path) if path.suffix == ".whl" else problems_of_sdist(path)
        print("\n  ".join([f"{path.name}: {len(problems)} problems", *problems]))
        failed |= bool(problems)
    sys.exit(failed)
