"""The learned resizer against a plain port of the published network: inference time, and time and memory of a training step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import resizenet as rn

from ._peers import check_equal, paired_resizers
from ._timing import alternate, inference_call, peak_memory, summary, training_call

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}  # of the largest value: about ten roundings of each dtype


def _images(batch: int, height: int, width: int, device: torch.device, dtype: torch.dtype, layout: torch.memory_format) -> Tensor:
    return torch.rand(batch, 3, height, width).to(device, dtype).contiguous(memory_format=layout)


def _case(size: tuple[int, int], target: int) -> str:
    return f"{size[0]}x{size[1]} -> {target}"


def inference(device: torch.device, dtype_name: str, batch: int, size: tuple[int, int], target: int, rounds: int, compiled: bool) -> list[dict[str, object]]:
    """Rows of the port and of ours, in both memory layouts, eager and compiled."""
    torch.manual_seed(0)
    dtype = DTYPES[dtype_name]
    candidates, images = {}, {}
    for layout_name, layout in {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}.items():
        peer, ours = (model.to(device, memory_format=layout).eval() for model in paired_resizers(target))
        check_equal(peer, ours.fuse(), _images(1, *size, device, torch.float32, layout), TOLERANCE["float32"])
        models = {"port": peer.to(dtype), "ours": ours.to(dtype), "ours, fused": ours.fuse().to(dtype)}
        images[layout_name] = _images(batch, *size, device, dtype, layout)
        check_equal(peer, models["ours, fused"], images[layout_name], TOLERANCE[dtype_name])
        for name, model in models.items():
            candidates[name, "eager", layout_name] = inference_call(model, images[layout_name])
            if compiled:
                candidates[name, "compiled", layout_name] = inference_call(torch.compile(model), images[layout_name])
    seconds = alternate(candidates, device, rounds)
    common = {"task": "inference", "case": _case(size, target), "dtype": dtype_name, "batch": batch}
    return [
        {**common, "who": name, "peer": name == "port", "mode": mode, "layout": layout, **summary(seconds[name, mode, layout])}
        for name, mode, layout in candidates
    ]


def training(device: torch.device, dtype_name: str, batch: int, size: tuple[int, int], target: int, rounds: int) -> list[dict[str, object]]:
    """Rows of a training step (forward, backward) of the resizer alone, with the peak of its memory."""
    images = _images(batch, *size, device, DTYPES[dtype_name], torch.channels_last)
    candidates = {name: training_call(_trainable(name, target, device, dtype_name), images) for name in ("port", "ours", "ours, checkpoint")}
    seconds = alternate(candidates, device, rounds)
    common = {"task": "training step", "case": _case(size, target), "dtype": dtype_name, "batch": batch, "mode": "eager", "layout": "channels_last"}
    return [
        {**common, "who": name, "peer": name == "port", **summary(seconds[name]), "peak_bytes": peak_memory(call, device)} for name, call in candidates.items()
    ]


def _trainable(name: str, target: int, device: torch.device, dtype_name: str) -> nn.Module:
    torch.manual_seed(0)
    peer, ours = paired_resizers(target)
    if name == "ours, checkpoint":
        state = ours.state_dict()
        ours = rn.Resizer.paper(target, checkpoint=True)
        ours.load_state_dict(state)
    model = peer if name == "port" else ours
    return model.train().to(device, DTYPES[dtype_name], memory_format=torch.channels_last)


def suite(device: torch.device, quick: bool) -> list[dict[str, object]]:
    """All rows; ``quick`` leaves out the larger batches and the other sizes."""
    rounds = 7 if quick else 15
    settings = [(4, (448, 448), 224)] if quick else [(1, (448, 448), 224), (4, (448, 448), 224), (32, (64, 64), 32), (4, (300, 400), 224)]
    if device.type == "cuda":
        settings += [(32, (448, 448), 224), (128, (448, 448), 224)]
    dtypes = ["float32", "bfloat16", *(["float16"] if device.type == "cuda" else [])]
    rows = []
    for batch, size, target in settings:
        for dtype_name in dtypes:
            rows += inference(device, dtype_name, batch, size, target, rounds, compiled=True)
            rows += training(device, dtype_name, batch, size, target, rounds)
    return rows
