"""All experiments, by name and version.

"full" is the version for a GPU, "small" the one for a CPU, "trained" one for a CPU whose networks are trained for
longer, by the recipe of ``_record``. An option of the version's name chooses it. Every version
has a folder of results of its own.
"""

from __future__ import annotations

from ._cifar import CROP_POLICY, FOLD_TRANSFER, RESNET20_RECIPE, RESNET50_FIX, SHAPE, STEM_BY_RESOLUTION, STEM_WEIGHTS
from ._experiment import Experiment
from ._families import ADAPT_FAMILIES
from ._pretrained import ADAPT_FEATURES, ADAPT_PRETRAINED
from ._record import RECORD
from ._resizer import IMAGENETTE, IMAGEWOOF, LEARNED_RESIZER, RESIZER_STABILITY
from ._sizes import SEVERAL_SIZES
from ._transfer import TRANSFER

EXPERIMENTS: dict[str, dict[str, Experiment]] = {
    "stem_by_resolution": STEM_BY_RESOLUTION,
    "resnet50_fix": RESNET50_FIX,
    "crop_policy": CROP_POLICY,
    "shape": SHAPE,
    "learned_resizer": LEARNED_RESIZER,
    "fold_transfer": FOLD_TRANSFER,
    "stem_weights": STEM_WEIGHTS,
    "transfer": TRANSFER,
    "adapt_features": ADAPT_FEATURES,
    "adapt_pretrained": ADAPT_PRETRAINED,
    "adapt_families": ADAPT_FAMILIES,
    "imagenette": IMAGENETTE,
    "imagewoof": IMAGEWOOF,
    "resizer_stability": RESIZER_STABILITY,
    "resnet20_recipe": RESNET20_RECIPE,
    "record": RECORD,
    "several_sizes": SEVERAL_SIZES,
}


def find(name: str, version: str) -> Experiment:
    """Return a version of an experiment; SystemExit if there is none."""
    if name not in EXPERIMENTS:
        raise SystemExit(f"{name}: no such experiment; there are {', '.join(EXPERIMENTS)}")
    if version not in EXPERIMENTS[name]:
        raise SystemExit(f"{name}: has no {version} version; there is {', '.join(EXPERIMENTS[name])}")
    return EXPERIMENTS[name][version]


def folder_of(name: str, version: str) -> str:
    """Return the name of a version's folder of results."""
    return name if version == "full" else f"{name}-{version}"


def command_of(name: str, version: str) -> str:
    """Return the command that runs a version."""
    options = "--device cuda" if version == "full" else f"--{version} --device cpu"
    return f"python -m benchmarks.accuracy run {name} --data PATH {options}"


def versions() -> list[tuple[str, str, Experiment]]:
    """Return the name, the version and the experiment of every version."""
    return [(name, version, found) for name, group in EXPERIMENTS.items() for version, found in group.items()]
