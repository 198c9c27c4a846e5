"""The tensors of a folder as numbers: as they are stored, or from the 8-bit floats and MXFP4 that some folders hold.

What was quantized in another way is refused: its errors are in it already, and quantizing once more would add to them.
"""

import numpy as np

from ..errors import ModelError
from . import dtypes

ADVICE = "convert the folder of the model it was made from, which has BF16 or F16 weights"
FP8_METHODS = ("fp8", "compressed-tensors", "modelopt", "fbgemm_fp8")
SCALES = (".weight_scale_inv", ".weight_scale", ".qscale_weight")
UNUSED = (".input_scale", ".activation_scale", "_activation_scale", ".k_scale", ".v_scale", ".qscale_act",
          ".input_scale_ub")


class Plain:
    """A tensor as it is stored. `array()` has its numbers, raw where NumPy has no type (dtypes.NUMPY)."""

    def __init__(self, stored):
        self.stored, self.name, self.path = stored, stored.name, stored.path
        self.dtype, self.shape = stored.dtype, stored.shape

    def array(self):
        return dtypes.array(self.stored)

    def float32(self):
        return dtypes.to_float32(self.array(), self.dtype)

    def forget(self):
        self.stored.forget()


class Scaled(Plain):
    """8-bit floats with a scale for the whole tensor, for each row, or for each block of rows and columns."""

    def __init__(self, stored, scale, block):
        super().__init__(stored)
        self.scale, self.block, self.code = scale, block, stored.dtype
        self.dtype = "F32"
        self._check()

    def _check(self):
        rows, cols = (self.shape[0], self.shape[-1]) if self.shape else (1, 1)
        if self.block:
            expected = (-(-rows // self.block[0]), -(-cols // self.block[1]))
        else:
            expected = (rows, 1) if self.scale.shape[:1] == (rows,) else ()
        if self.scale.shape not in (expected, expected[:1]) and np.prod(self.scale.shape, dtype=int) != 1:
            raise ModelError(f"{self.scale.name} has the shape {self.scale.shape}, but {self.name} of shape "
                             f"{self.shape} needs {expected or 'one number'}", path=self.path, tensor=self.name)

    def array(self):
        values = dtypes.to_float32(dtypes.array(self.stored), self.code)
        scale = self.scale.float32()
        if scale.size == 1:
            values *= scale.reshape(-1)[0]
        elif not self.block:
            values *= scale.reshape(-1, *[1] * (values.ndim - 1))
        else:
            for i, row in enumerate(scale):
                part = values[i * self.block[0] : (i + 1) * self.block[0]]
                part *= np.repeat(row, self.block[1])[: values.shape[-1]]
        return values


class Mxfp4(Plain):
    """gpt-oss's experts: blocks of 32 numbers of 4 bits (n, rows, blocks, 16) and their scales (n, rows, blocks).

    `array()` has GGUF's blocks (n, rows, blocks * 17): a scale, then for each i the numbers i and i + 16 in one byte,
    where the source has 2i and 2i + 1.
    """

    BLOCK, BYTES = 32, 17

    def __init__(self, name, blocks, scales):
        super().__init__(blocks)
        if blocks.shape[:-1] != scales.shape or blocks.shape[-1] != 16 or {blocks.dtype, scales.dtype} != {"U8"}:
            raise ModelError(f"{blocks.name} {blocks.shape} and {scales.name} {scales.shape} are not MXFP4",
                             path=self.path, tensor=blocks.name)
        self.name, self.scales, self.dtype = name, scales, "MXFP4"
        self.shape = (*blocks.shape[:-2], blocks.shape[-2] * self.BYTES)

    def array(self):
        packed, scales = dtypes.array(self.stored), dtypes.array(self.scales)
        numbers = np.stack((packed & 15, packed >> 4), axis=-1).reshape(*packed.shape[:-1], 32)
        codes = numbers[..., :16] | numbers[..., 16:] << 4
        return np.concatenate((scales[..., None], codes), axis=-1).reshape(self.shape)


def of_folder(folder, config):
    """Name to source, for all tensors of the folder. ModelError where they are quantized in a way that is refused."""
    stored = folder.tensors
    method = _method(folder, config)
    if method == "mxfp4":
        return _mxfp4(stored)
    if method in FP8_METHODS:
        folder.note(f"8-bit floats ({method}) are turned back into {len(stored)} plain tensors")
        return _fp8(stored, folder, config)
    if method:
        raise ModelError(f"is quantized already ({method}); {ADVICE}", path=folder.path)
    return {name: Plain(tensor) for name, tensor in stored.items()}


def _method(folder, config):
    given = config.get("quantization_config", "compression_config", default={})
    nvidia = folder.dict("hf_quant_config.json").get("quantization") or {}
    algorithm = str(given.get("quant_algo") or nvidia.get("quant_algo") or "")
    kind = str(given.get("format") or "")
    if "NVFP4" in algorithm or "nvfp4" in kind or "pack" in kind or "int" in kind:
        return algorithm or kind
    return given.get("quant_method") or ("modelopt" if nvidia else None)


def _mxfp4(stored):
    found = {}
    for name, tensor in stored.items():
        if name.endswith("_scales") and name.removesuffix("_scales") + "_blocks" in stored:
            continue
        if name.endswith("_blocks"):
            base = name.removesuffix("_blocks")
            if f"{base}_scales" not in stored:
                raise ModelError(f"{base}_scales is missing", path=tensor.path, tensor=name)
            found[f"{base}_mxfp4"] = Mxfp4(f"{base}_mxfp4", tensor, stored[f"{base}_scales"])
        else:
            found[name] = Plain(tensor)
    return found


def _fp8(stored, folder, config):
    given = config.get("quantization_config", "compression_config", default={})
    block = given.get("weight_block_size")
    for group in (given.get("config_groups") or {}).values():
        block = block or (group.get("weights") or {}).get("block_structure")
    scales = {}
    for name in stored:
        end = next((end for end in SCALES if name.endswith(end)), None)
        if end:
            scales[name.removesuffix(end) + ".weight"] = name
    found = {}
    for name, tensor in stored.items():
        if name in scales.values() or name.endswith(UNUSED):
            continue
        if tensor.dtype.startswith("F8") and name not in scales:
            raise ModelError(f"{name} has 8-bit floats, but no scale", path=tensor.path, tensor=name)
        two = block if name in scales and len(stored[scales[name]].shape) == 2 else None
        found[name] = Scaled(tensor, Plain(stored[scales[name]]), two) if name in scales else Plain(tensor)
    absent = [weight for weight in scales if weight not in stored]
    if absent:
        raise ModelError(f"there is a scale, but no {absent[0]}", path=folder.path)
    return found
