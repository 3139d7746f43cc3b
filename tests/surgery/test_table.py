"""What ``adapt`` does to the classifiers of torchvision and timm at 32 and 64 px, as a table in the docs.

``python tests/surgery/test_table.py [PATTERN]`` plans the models whose names match again, all by default, and writes
the results and the page.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

import resizenet as rn
from resizenet.surgery import plan

RESULTS = Path(__file__).with_name("table.json")
PAGE = Path(__file__).parents[2] / "docs" / "adapted_models.md"
SIDES = (32, 64)
TORCHVISION = torchvision.models.list_models(module=torchvision.models)
TIMM = [
    *("resnet18", "resnet50d", "resnetrs50", "resnetaa50d", "resnetblur18", "seresnet50", "ecaresnet26t", "skresnet18"),
    *("resnest14d", "res2net50_14w_8s", "wide_resnet50_2", "resnext50_32x4d", "resnetv2_50", "resnetv2_50x1_bit"),
    *("densenet121", "dpn68", "dla34", "vgg11_bn", "inception_v3", "inception_v4", "inception_next_atto", "xception41"),
    *("mobilenetv2_050", "mobilenetv3_small_050", "tf_mobilenetv3_small_minimal_100", "mobilenetv4_conv_small_035"),
    *("mobilenetv4_hybrid_medium", "mnasnet_small", "efficientnet_b0", "efficientnet_lite0", "tf_efficientnet_lite0"),
    *("efficientnetv2_rw_t", "tf_efficientnetv2_b0", "ghostnet_100", "ghostnetv2_100", "fbnetc_100", "spnasnet_100"),
    *("lcnet_050", "tinynet_e", "rexnet_100", "hardcorenas_a", "mixnet_s", "semnasnet_075", "hrnet_w18_small"),
    *("regnetx_002", "regnety_002", "regnetz_b16", "repvgg_a0", "mobileone_s0", "gernet_s", "cspresnet50"),
    *("cspdarknet53", "darknet53", "ese_vovnet19b_dw", "selecsls42b", "tresnet_m", "nfnet_f0", "nf_regnet_b0"),
    *("convnext_atto", "convnextv2_atto", "convmixer_768_32", "poolformer_s12", "edgenext_xx_small", "fastvit_t8"),
    *("repvit_m0_9", "starnet_s1", "efficientformer_l1", "mobilevit_xxs", "mobilevitv2_050", "coatnet_nano_rw_224"),
    *("maxvit_rmlp_pico_rw_256", "mvitv2_tiny", "pvt_v2_b0", "twins_svt_small", "swin_tiny_patch4_window7_224"),
    *("swinv2_tiny_window8_256", "vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "cait_xxs24_224"),
    *("levit_128s", "mixer_s16_224", "beit_base_patch16_224", "focalnet_tiny_srf", "crossvit_tiny_240"),
]
MODELS = [("torchvision", name) for name in TORCHVISION] + [("timm", name) for name in TIMM]
QUICK = ("mobilenet_v2", "squeezenet1_1", "regnety_002")


class _Uninitialized(TorchFunctionMode):
    """Leaves out the random initialization of weights."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_"):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def build(library: str, name: str) -> nn.Module:
    """A model without values."""
    make = torchvision.models.get_model if library == "torchvision" else timm.create_model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's, about how weights are going to be initialized
        try:
            with torch.device("meta"):
                return make(name)
        except (NotImplementedError, RuntimeError):  # reads values while it is made
            with _Uninitialized():
                return make(name).to("meta")


def result(library: str, name: str, side: int) -> dict[str, Any]:
    """One row of the table."""
    row: dict[str, Any] = {"library": library, "model": name, "side": side}
    try:
        made = plan(build(library, name), side)
    except rn.UnsupportedModelError as error:
        return {**row, "refused": str(error).removeprefix("adapt: ")}
    changes = [*made.changes, *made.fitted]
    new_weights = dict.fromkeys(change.path or "the model" for change in changes if change.how)
    return {
        **row,
        "output_stride": [*made.output_stride],
        "before": made.last_map[0] and [*made.last_map[0]],
        "after": [*made.last_map[1]],
        "macs": [*made.macs],
        "changes": len(changes),
        "weights": [*new_weights],
    }


def page(rows: list[dict[str, Any]]) -> str:
    """The page of the docs."""
    lines = [
        "# Adapted models",
        "",
        "What `adapt(model, size)` does to the classifiers of torchvision and timm. Each row is a plan",
        "(`surgery.plan`) that was tried on a copy of the model without values. The last map is that of an image of",
        "this size, before and after; a dash means that the model does not take such images as it is. MACs are",
        "multiply-accumulates, after and as a multiple of those before. All other weights are kept bit by bit.",
        "",
        f"Made with torch {rows[0]['torch']}, torchvision {rows[0]['torchvision']} and timm {rows[0]['timm']} by",
        "`python tests/surgery/test_table.py`.",
    ]
    for library in ("torchvision", "timm"):
        for side in SIDES:
            lines += ["", f"## {library} at {side} px", ""]
            lines += ["| model | last map | output stride | MACs | new weights |", "|---|---|---|---|---|"]
            lines += [line(row) for row in rows if (row["library"], row["side"]) == (library, side)]
    return "\n".join([*lines, ""])


def line(row: dict[str, Any]) -> str:
    if "refused" in row:
        reason = row["refused"].partition(" (changes")[0].partition(", so this")[0].partition("\n")[0]
        return f"| {row['model']} | refused: {reason} | | | |"
    size = [f"{side[0]}x{side[1]}" if side else "-" for side in (row["before"], row["after"])]
    times = f" ({row['macs'][1] / row['macs'][0]:.1f}x)" if row["macs"][0] else ""
    stride = " to ".join(map(str, dict.fromkeys(row["output_stride"])))
    weights = ", ".join(f"`{path}`" for path in row["weights"][:2])
    weights += f" and {len(row['weights']) - 2} more" if len(row["weights"]) > 2 else ""
    return f"| {row['model']} | {' to '.join(size)} | {stride} | {row['macs'][1] / 1e6:.1f} M{times} | {weights} |"


def saved() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def write(pattern: str) -> None:
    """Plan the models whose names match, and keep the other rows."""
    versions = {library.__name__: library.__version__.partition("+")[0] for library in (torch, torchvision, timm)}
    rows = {(row["library"], row["model"], row["side"]): row for row in saved()}
    for library, name in MODELS:
        for side in SIDES:
            if re.search(pattern, name):
                rows[library, name, side] = {**result(library, name, side), **versions}
                sys.stdout.write(f"{line(rows[library, name, side])}\n")
    ordered = [rows[key] for side in SIDES for key in [(*model, side) for model in MODELS] if key in rows]
    RESULTS.write_text(json.dumps(ordered, indent=0) + "\n")
    PAGE.write_text(page(ordered))


def check(library: str, name: str) -> None:
    found = {row["side"]: row for row in saved() if (row["library"], row["model"]) == (library, name)}
    for side in SIDES:
        versions = {key: found[side][key] for key in ("torch", "torchvision", "timm")}
        assert {**result(library, name, side), **versions} == found[side]


@pytest.mark.parametrize("name", QUICK)
def test_a_sample_of_the_table_is_still_true(name: str) -> None:
    check("torchvision" if name in TORCHVISION else "timm", name)


@pytest.mark.slow
@pytest.mark.parametrize(("library", "name"), MODELS)
def test_the_table_is_still_true(library: str, name: str) -> None:
    check(library, name)


def test_the_table_has_all_models_and_is_the_one_of_the_docs() -> None:
    rows = saved()
    assert [(row["library"], row["model"], row["side"]) for row in rows] == [
        (*model, side) for side in SIDES for model in MODELS
    ]
    assert page(rows) == PAGE.read_text()


def test_at_least_70_of_torchvisions_models_adapt() -> None:
    for side in SIDES:
        rows = [row for row in saved() if (row["library"], row["side"]) == ("torchvision", side)]
        assert len(rows) == 80
        assert sum("refused" not in row for row in rows) >= 70


def test_no_model_is_left_with_a_small_map_in_silence() -> None:
    for row in saved():
        assert row.get("refused") or min(row["after"]) >= 3


if __name__ == "__main__":
    write(sys.argv[1] if len(sys.argv) > 1 else "")
