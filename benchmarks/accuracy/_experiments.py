"""All experiments by name."""

from __future__ import annotations

import resizenet as rn

from ._cifar import CROP_POLICY, FOLD_TRANSFER, RESNET50_FIX, SHAPE, STEM_BY_RESOLUTION
from ._experiment import Arm, Experiment
from ._resizer import IMAGENETTE, IMAGEWOOF, LEARNED_RESIZER, RESIZER_STABILITY
from ._transfer import TRANSFER

_PUBLISHED_RESNET = {
    "lr": 0.1,
    "schedule": "steps",
    "nesterov": False,
    "weight_decay": 1e-4,
    "batch_size": 128,
    "label_smoothing": 0.0,
}

RESNET20_RECIPE = Experiment(
    question="Does resnet20 learn as published (He et al. 2015, section 4.2: 8.75 % error after 64,000 steps, 164 epochs)?",
    arms={"resnet20": Arm(lambda: rn.create_model("resnet20"), _PUBLISHED_RESNET)},
    epochs=200,
)

EXPERIMENTS = {
    "stem_by_resolution": STEM_BY_RESOLUTION,
    "resnet50_fix": RESNET50_FIX,
    "crop_policy": CROP_POLICY,
    "shape": SHAPE,
    "learned_resizer": LEARNED_RESIZER,
    "fold_transfer": FOLD_TRANSFER,
    "transfer": TRANSFER,
    "imagenette": IMAGENETTE,
    "imagewoof": IMAGEWOOF,
    "resizer_stability": RESIZER_STABILITY,
    "resnet20_recipe": RESNET20_RECIPE,
}
