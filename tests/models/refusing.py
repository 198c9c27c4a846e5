"""Tiny files of every architecture with one thing changed, and what opening them says."""

import pytest

from llama_gguf import Model, ModelError
from llama_gguf.models import registry
from llama_gguf.testing import FAMILIES, tiny

ARCHITECTURES = sorted(registry())
TURNING = [a for a in ARCHITECTURES if FAMILIES[a].rope and a != "baichuan"]  # its length tells whether it turns


def few(arch):
    """Sizes of a smaller file, where the length of the model says nothing else."""
    return {"layers": 2} if arch == "baichuan" else {}


@pytest.fixture
def refused(tmp_path):
    def refuse(arch, metadata=None, tensors=None, **how):
        metadata = {arch + k if k.startswith(".") else k: v for k, v in (metadata or {}).items()}
        how = few(arch) | how
        with pytest.raises(ModelError) as error:
            check = how.pop("check_tensors", False)
            path = tiny(tmp_path / "t.gguf", arch, metadata=metadata, tensors=tensors, **how)
            Model(path, n_threads=1, check_tensors=check).close()
        text = str(error.value)
        assert "\n" not in text and "t.gguf" in text
        return error.value

    return refuse
