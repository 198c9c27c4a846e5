"""Steering: one vector for each layer, added to the residual stream that leaves it (arXiv 2308.10248, 2310.01405).

    vector = train_steering(model, ["I love it", "What a joy"], ["I hate it", "What a pain"])
    with model.steer(vector, 1.5):
        print(model.generate("The film was", max_tokens=30).text)
    vector.save("joy.gguf")                    # llama.cpp takes it: llama-cli --control-vector-scaled joy.gguf 1.5
"""

import re
from dataclasses import dataclass, field

import numpy as np

from .. import pictures
from ..errors import FormatError, ModelError
from ..gguf import GGUFFile, write_gguf
from ..gguf.values import Typed

ARCH = "controlvector"


@dataclass(repr=False)
class SteeringVector:
    """`directions`: layer -> float32 (width,), what is added behind that layer at strength 1."""

    directions: dict
    model_hint: str = ""
    explained: dict = field(default_factory=dict)  # layer -> share of the variance, where components were analysed

    def __post_init__(self):
        self.directions = {int(i): np.ascontiguousarray(v, np.float32) for i, v in self.directions.items()}
        shapes = {v.shape for v in self.directions.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise ValueError(f"directions are vectors of one width, one for each layer, not of shapes {sorted(shapes)}")
        bad = [layer for layer, v in self.directions.items() if not np.isfinite(v).all()]
        if bad:
            raise ValueError(f"the direction of layer {bad[0]} is not finite")

    @property
    def width(self):
        return len(next(iter(self.directions.values())))

    def __mul__(self, by):
        return SteeringVector({i: v * by for i, v in self.directions.items()}, self.model_hint)

    __rmul__ = __mul__

    def __neg__(self):
        return self * -1

    def __add__(self, other):
        layers = self.directions | other.directions
        return SteeringVector({i: self.at(i) + other.at(i) for i in sorted(layers)}, self.model_hint)

    def at(self, layer):
        """The direction of a layer, zero where there is none."""
        return self.directions.get(layer, np.zeros(self.width, np.float32))

    def only(self, layers):
        """The same for some layers."""
        return SteeringVector({i: v for i, v in self.directions.items() if i in layers}, self.model_hint)

    def check(self, model):
        """ModelError if a model has other layers or another width."""
        most = max(self.directions)
        if self.width != model.h.width or most >= model.h.layers or min(self.directions) < 0:
            raise ModelError(
                f"this vector has {self.width} values for layers up to {most}, but the model has {model.h.layers} "
                f"layers of {model.h.width}",
                path=str(model.path),
            )

    def save(self, path, force=False):
        """Write llama.cpp's control-vector file, whose first direction is that of layer 1."""
        if 0 in self.directions:
            raise ModelError("a control-vector file has no direction for layer 0; save vector.only(range(1, n))")
        keys = {
            "general.architecture": ARCH,
            f"{ARCH}.model_hint": self.model_hint,
            f"{ARCH}.layer_count": Typed(len(self.directions), "i32"),
        }
        tensors = [(f"direction.{i}", "F32", v.shape, v.tobytes()) for i, v in sorted(self.directions.items())]
        write_gguf(path, keys, tensors, force=force)

    @classmethod
    def load(cls, path):
        """Of a control-vector file. Directions of one layer are added up, as llama.cpp does."""
        with GGUFFile(path) as file:
            arch = file.metadata.get("general.architecture", ARCH)
            if arch != ARCH:
                raise FormatError(f"is a {arch} model, no control vector", path=str(path))
            found = {}
            for name, tensor in file.tensors.items():
                layer = re.fullmatch(r"direction\.(\d+)", name)
                if not layer or int(layer[1]) == 0 or tensor.type.name != "F32" or len(tensor.shape) != 1:
                    raise FormatError("is no direction.N of float32 with N above 0", path=str(path), tensor=name)
                found[int(layer[1])] = tensor.numpy()
            if not found:
                raise FormatError("holds no directions", path=str(path))
            return cls(found, file.metadata.get(f"{ARCH}.model_hint", ""))

    def __repr__(self):
        layers = sorted(self.directions)
        return f"<SteeringVector of {self.width} values for {len(layers)} layers, {layers[0]} to {layers[-1]}>"

    def _repr_html_(self):
        layers = sorted(self.directions)
        sizes = [float(np.linalg.norm(self.directions[i])) for i in layers]
        return pictures.bars(sizes, [f"layer {i}" for i in layers], "length of the steering vector")


def train_steering(model, positive, negative, *, method="mean", layers=None, position="last"):
    """SteeringVector from texts that have something to texts that lack it.

    method: "mean", the difference of means; "pca", the first principal component of the texts about the middle of
    each pair (or of the means, where there are not as many of both), as long as the means lie apart along it. layers:
    all but the first by default. position: "last" token, or the "mean" of all but the first.
    """
    if method not in ("mean", "pca"):
        raise ValueError(f"method is mean or pca, not {method!r}")
    if not positive or not negative or isinstance(positive, str) or isinstance(negative, str):
        raise ValueError("positive and negative are lists of texts, one or more each")
    model._need_weights()
    layers = range(1, model.h.layers) if layers is None else list(layers)
    has, lacks = (residuals(model, texts, layers, position) for texts in (positive, negative))
    found, explained = {}, {}
    for i, layer in enumerate(layers):
        found[layer] = (has[:, i] - lacks[:, i].mean(0)).mean(0)
        if method == "pca":
            found[layer], explained[layer] = principal(has[:, i], lacks[:, i])
    return SteeringVector(found, model.metadata.arch, explained)


def residuals(model, texts, layers, position):
    """float64 (texts, layers, width)."""
    names, rows = [f"blk.{layer}.resid_post" for layer in layers], []
    for text in texts:
        trace = model.trace(text, names)
        trace.complete()
        values = np.stack([trace[name] for name in names]).astype(np.float64)
        rows.append(values[:, -1] if position == "last" else values[:, min(1, values.shape[1] - 1) :].mean(1))
    return np.stack(rows)


def principal(has, lacks):
    """(first principal component, as long as the means lie apart along it and pointing to `has`; share of variance)."""
    middle = (has + lacks) / 2 if len(has) == len(lacks) else (has.mean(0) + lacks.mean(0)) / 2
    about = np.concatenate([has - middle, lacks - middle])
    _, sizes, axes = np.linalg.svd(about, full_matrices=False)
    apart = float((has.mean(0) - lacks.mean(0)) @ axes[0])
    return axes[0] * apart, float(sizes[0] ** 2 / max((sizes**2).sum(), 1e-300))
