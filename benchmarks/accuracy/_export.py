"""The weights of a finished run as the package ships them: a file in float16, and what is known about it."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

import resizenet as rn
from benchmarks._records import Record
from resizenet.models import Weights
from resizenet.transforms import NormalizedPolicy, ResizePolicy

from ._data import ImageData
from ._train import accuracy

FOLDER = Path(rn.models.__file__).parent / "weights"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def export(records: list[Record], weights: Path, data: ImageData, folder: Path = FOLDER) -> Weights:
    """Write the weights of seed 0 in float16 and their record; the arm has the network's name in ``list_models``.

    Raises:
        SystemExit: with one line, if seed 0 or its weights are missing, or were trained with other data.
    """
    if not records or records[0]["seed"] != 0 or not weights.exists():
        raise SystemExit(
            f"{weights}: no result or no weights of seed 0; run it first (if it has a result, delete that)"
        )
    first = records[0]
    if first["data"] != data.fingerprint():
        raise SystemExit(f"the run had the data {first['data']}, not {data.fingerprint()}")
    state = torch.load(weights, map_location="cpu", weights_only=True)
    kept = {name: tensor.half() for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    content = io.BytesIO()
    torch.save(kept, content)
    model = rn.create_model(first["arm"])
    model.load_state_dict(kept, strict=False)
    values = _values(first, model, data) | {
        "accuracy_by_seed": [record["accuracy"] for record in records],
        "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
    }
    folder.mkdir(exist_ok=True)
    stem = folder / f"{values['model']}-{values['name']}"
    stem.with_suffix(".pt").write_bytes(content.getvalue())
    stem.with_suffix(".json").write_text(json.dumps(values, indent=1) + "\n")
    return Weights(**values)


def _values(record: Record, model: nn.Module, data: ImageData) -> dict[str, Any]:
    base = ResizePolicy.from_dict(record["recipe"]["policy"])
    return {
        "model": record["arm"],
        "name": "cifar10",
        "accuracy": accuracy(model.eval(), data),
        "epochs": record["recipe"]["epochs"],
        "command": f"{record['command']} --data PATH",
        "classes": CLASSES,
        "policy": NormalizedPolicy(base, mean=data.mean, std=data.std).to_dict(),
        "license": "MIT",
        "parameters": record["params"],
    }
