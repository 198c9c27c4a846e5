"""What many tests need: a real model, fetched once."""

import pytest


@pytest.fixture(scope="session")
def smollm2():
    """Path of SmolLM2-135M-Instruct; skips only where neither cache nor network has it."""
    from llama_gguf.errors import HubUnreachable, NameNotFound
    from llama_gguf.hub import resolve

    try:
        return resolve("smollm2")
    except (HubUnreachable, NameNotFound) as error:
        pytest.skip(f"smollm2 cannot be had: {error}")
