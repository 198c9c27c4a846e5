"""What many tests need: a real model, fetched once; examples that are the same in every run.

LLAMA_GGUF_EXPLORE=1 lets hypothesis look for new examples, as one does after a change.
"""

import os

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
if os.environ.get("LLAMA_GGUF_EXPLORE") != "1":
    settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def smollm2():
    """Path of SmolLM2-135M-Instruct; skips only where neither cache nor network has it."""
    from llama_gguf.errors import HubUnreachable, NameNotFound
    from llama_gguf.hub import resolve

    try:
        return resolve("smollm2")
    except (HubUnreachable, NameNotFound) as error:
        pytest.skip(f"smollm2 cannot be had: {error}")
