"""Other libraries' resizes of NumPy images (H, W, C), and two of them written from their documentation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial

import cv2
import numpy as np
import onnx
import onnxruntime
import PIL
from onnx import TensorProto, helper
from PIL import Image
from skimage import transform

Array = np.ndarray
Size = tuple[int, int]
PILLOW = {
    name: Image.Resampling[name.upper()] for name in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
}
OPENCV = {
    "nearest": cv2.INTER_NEAREST,
    "nearest-exact": cv2.INTER_NEAREST_EXACT,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos4": cv2.INTER_LANCZOS4,
}
SCIKIT = ("nearest", "bilinear", "biquadratic", "bicubic")


def pillow(image: Array, size: Size, interpolation: str) -> Array:
    """Channel by channel for floats, which Pillow calls mode F; uint8 has 1, 3 or 4 channels.

    Four channels are CMYK, because Pillow multiplies the colors of RGBA by alpha.
    """
    resample = PILLOW[interpolation]
    if image.dtype == np.uint8 and image.shape[2] == 4:
        width, height = image.shape[1::-1]
        return _pillow_13(Image.frombytes("CMYK", (width, height), image.tobytes()), size, resample)
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return _pillow_13(Image.fromarray(image), size, resample)
    planes = image.transpose(2, 0, 1)
    return np.stack([_pillow_13(Image.fromarray(np.ascontiguousarray(p)), size, resample) for p in planes], -1)


def _pillow_13(image: Image.Image, size: Size, resample: Image.Resampling) -> Array:
    """Resize with the order of the passes of Pillow 13; Python 3.10 has Pillow 12 only."""
    removed_rows, removed_columns = image.height - size[0], image.width - size[1]
    if int(PIL.__version__.partition(".")[0]) < 13 and removed_rows > 2 * max(removed_columns, 0):
        image = image.resize((image.width, size[0]), resample)
    return np.asarray(image.resize(size[::-1], resample))


def opencv(image: Array, size: Size, interpolation: str) -> Array:
    return cv2.resize(image, size[::-1], interpolation=OPENCV[interpolation]).reshape(*size, -1)


def scikit(image: Array, size: Size, interpolation: str, *, antialias: bool | None = None) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about antialiasing axes that grow
        return transform.resize(image, size, order=SCIKIT.index(interpolation), anti_aliasing=antialias)


@cache
def _onnx_session(mode: str, attributes: tuple[tuple[str, object], ...]) -> onnxruntime.InferenceSession:
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode=mode, **dict(attributes))
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", "c", "h", "w"]),
        helper.make_tensor_value_info("sizes", TensorProto.INT64, [4]),
    ]
    outputs = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", "c", "height", "width"])
    graph = helper.make_graph([node], "resize", inputs, [outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def onnx_resize(image: Array, size: Size, interpolation: str, **attributes: object) -> Array:
    x = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
    session = _onnx_session(interpolation, tuple(sorted(attributes.items())))
    (y,) = session.run(None, {"x": x, "sizes": np.array([1, x.shape[1], *size])})
    return y[0].transpose(1, 2, 0)


# --- kernels, as functions of one distance


def _triangle(d: float) -> float:
    return max(0.0, 1 - abs(d))


def _keys(d: float) -> float:
    d = abs(d)
    if d <= 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def _mitchell(d: float) -> float:
    d = abs(d)
    if d < 1:
        return (7 * d**3 - 12 * d**2 + 16 / 3) / 6
    return (-7 / 3 * d**3 + 12 * d**2 - 20 * d + 32 / 3) / 6 if d < 2 else 0.0


def _lanczos(d: float, radius: int) -> float:
    return float(np.sinc(d) * np.sinc(d / radius)) if abs(d) < radius else 0.0


def _gaussian(d: float) -> float:
    return math.exp(-(d**2) / (2 * 0.5**2)) if abs(d) < 1.5 else 0.0


KERNELS: dict[str, tuple[Callable[[float], float], float]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (_keys, 2),
    "mitchellcubic": (_mitchell, 2),
    "gaussian": (_gaussian, 1.5),
    **{f"lanczos{radius}": (partial(_lanczos, radius=radius), radius) for radius in (2, 3, 5)},
}


# --- tf.image.resize: https://www.tensorflow.org/api_docs/python/tf/image/resize


def tensorflow_matrix(before: int, after: int, interpolation: str, antialias: bool) -> Array:
    """Half-pixel centers; outside the image there is nothing, and the other weights are scaled to the sum 1.

    Without antialias, bilinear and bicubic have operations of their own; bicubic reads its kernel from a table of 1024
    entries per pixel. The other operation has positions in float32.
    """
    own = {"nearest", "area"} if antialias else {"nearest", "area", "bilinear", "bicubic"}
    if interpolation not in own:
        return _tensorflow_scale_and_translate(before, after, interpolation, antialias)
    matrix, scale = np.zeros((after, before)), before / after
    for row in range(after):
        center = (row + 0.5) * scale - 0.5
        for pixel in range(before):
            if interpolation == "nearest":
                matrix[row, pixel] = pixel == min(math.floor(np.float32(row + 0.5) * np.float32(scale)), before - 1)
            elif interpolation == "area":
                matrix[row, pixel] = max(0.0, min(pixel + 1, (row + 1) * scale) - max(pixel, row * scale))
            else:
                kernel, _ = KERNELS[interpolation]
                if interpolation == "bicubic" and not antialias:
                    center = round(center * 1024) / 1024
                matrix[row, pixel] = kernel(pixel - center)
    return matrix / matrix.sum(1, keepdims=True)


def _tensorflow_scale_and_translate(before: int, after: int, interpolation: str, antialias: bool) -> Array:
    one, half = np.float32(1), np.float32(0.5)
    kernel, radius = KERNELS[interpolation]
    matrix, step = np.zeros((after, before)), one / (np.float32(after) / np.float32(before))
    width = max(step, one) if antialias else one
    for row in range(after):
        center = (np.float32(row) + half) * step
        first = max(0, math.ceil(center - np.float32(radius) * width - half))
        last = min(before - 1, math.floor(center + np.float32(radius) * width - half))
        for pixel in range(first, last + 1):
            matrix[row, pixel] = kernel(float((np.float32(pixel) + half - center) * (one / width)))
    return matrix / matrix.sum(1, keepdims=True)


def tensorflow(image: Array, size: Size, interpolation: str, *, antialias: bool = False) -> Array:
    axes = zip(image.shape[:2], size, strict=True)
    rows, columns = (tensorflow_matrix(*axis, interpolation, antialias) for axis in axes)
    return np.einsum("ih,hwc,jw->ijc", rows, image.astype(np.float64), columns)


# --- imresize: https://www.mathworks.com/help/images/ref/imresize.html


def matlab_matrix(before: int, after: int, interpolation: str, antialias: bool) -> Array:
    """Counted from 1, output pixel x lies at x / scale + (1 - 1 / scale) / 2; the image is mirrored at its edges."""
    matrix, scale = np.zeros((after, before)), after / before
    if interpolation == "nearest" and not (antialias and scale < 1):
        for row in range(after):
            u = (row + 1) / scale + 0.5 * (1 - 1 / scale)
            matrix[row, min(max(math.floor(u + 0.5), 1), before) - 1] = 1
        return matrix
    if interpolation == "nearest":  # in fractions, because centers of pixels lie on the edges of the box
        for row in range(after):
            u = Fraction(2 * row + 1, 2) * Fraction(before, after) - Fraction(1, 2)
            matrix[row] = [-1 <= 2 * (u - pixel) / Fraction(before, after) < 1 for pixel in range(before)]
        return matrix / matrix.sum(1, keepdims=True)
    kernel, radius = KERNELS[interpolation]
    factor = scale if antialias and scale < 1 else 1.0
    for x in range(1, after + 1):
        u = x / scale + 0.5 * (1 - 1 / scale)
        for pixel in range(math.floor(u - radius / factor), math.ceil(u + radius / factor) + 1):
            mirrored = (pixel - 1) % (2 * before)
            mirrored = mirrored if mirrored < before else 2 * before - 1 - mirrored
            matrix[x - 1, mirrored] += kernel((u - pixel) * factor)
    return matrix / matrix.sum(1, keepdims=True)


def matlab(image: Array, size: Size, interpolation: str, *, antialias: bool = True) -> Array:
    """The axis with the smaller factor first; uint8 is rounded after each axis."""
    first = 0 if size[0] / image.shape[0] <= size[1] / image.shape[1] else 1
    x = image.astype(np.float64)
    for axis in (first, 1 - first):
        matrix = matlab_matrix(image.shape[axis], size[axis], interpolation, antialias)
        x = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
        if image.dtype == np.uint8:
            x = np.clip(np.floor(x + 0.5), 0, 255)
    return x


# --- all of them


def _rows(library: Callable[..., Array], names: tuple[str, ...], antialias: tuple[bool, ...] = ()) -> dict:
    if not antialias:
        return {(name, None): partial(library, interpolation=name) for name in names}
    return {(name, on): partial(library, interpolation=name, antialias=on) for name in names for on in antialias}


_TENSORFLOW = ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "mitchellcubic", "gaussian")


def _onnx(image: Array, size: Size, interpolation: str, antialias: bool = False) -> Array:
    return onnx_resize(image, size, interpolation, antialias=int(antialias))


LIBRARIES: dict[str, dict[tuple[str, bool | None], Callable[[Array, Size], Array]]] = {
    "pillow": _rows(pillow, tuple(PILLOW)),
    "opencv": _rows(opencv, tuple(OPENCV)),
    "tensorflow": _rows(tensorflow, _TENSORFLOW, (False, True)),
    "onnx": {**_rows(_onnx, ("nearest",)), **_rows(_onnx, ("linear", "cubic"), (False, True))},
    "scikit-image": _rows(scikit, SCIKIT, (True, False)),
    "matlab": _rows(matlab, ("nearest", "bilinear", "bicubic", "lanczos2", "lanczos3"), (True, False)),
}
"""By library, then by (interpolation, antialias): the resize of an image (H, W, C), uint8 or floating."""
UINT8 = ("pillow", "opencv", "matlab")
"""The libraries whose results for uint8 are uint8."""


def make_case(index: int, dtype: type, *, seed: int = 0) -> tuple[Array, Size]:
    """An image and a size: up, down, both, whole factors, a few pixels, large factors; noise, or black and white."""
    rng = np.random.default_rng((seed, index))
    after = tuple(int(side) for side in rng.integers(1, 48, 2))
    before = tuple(int(side) for side in rng.integers(1, 48, 2))
    if index % 6 == 1:
        before = tuple(int(factor * side) for factor, side in zip(rng.integers(1, 5, 2), after, strict=True))
    elif index % 6 == 2:
        before, after = ((int(a), int(b)) for a, b in rng.integers(1, 5, (2, 2)))
    elif index % 6 == 3:
        before = tuple(int(side) for side in rng.integers(100, 200, 2))
        after = tuple(int(side) for side in rng.integers(1, 12, 2))
    image = rng.integers(256, size=(*before, (1, 3, 4)[index % 3]))
    if index % 4 == 3:
        image = 255 * (image > 127)
    return (image.astype(np.uint8) if dtype == np.uint8 else (image / 255).astype(dtype)), after
