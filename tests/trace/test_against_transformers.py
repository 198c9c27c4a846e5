"""Traces in exact mode against hidden states, attention weights and hooked passes of `transformers`."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ..models.goldens import exact, nmse
from .edits import ADDED, DECODED, NAMES, PROMPT, ROW, direction, ids

REFERENCES = Path(__file__).parent.parent / "data" / "activations.npz"
LIMIT = 1e-11


@cache
def reference(name):
    arrays = np.load(REFERENCES)
    return {key.split("/")[1]: arrays[key] for key in arrays.files if key.split("/")[0] == name}


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_hidden_states_are_theirs(name):
    """The last one of transformers has been normed already."""
    with exact(name) as model, model.trace(ids(model.n_vocab)) as t:
        found = [t[f"blk.{layer}.resid_pre"] for layer in range(model.h.layers)]
        found.append(t["output_norm"])
    for layer, (x, want) in enumerate(zip(found, reference(name)["hidden"], strict=True)):
        assert nmse(x, want) <= LIMIT, layer


def test_attention_weights_are_theirs(name):
    with exact(name) as model, model.trace(ids(model.n_vocab)) as t:
        assert nmse(t["blk.*.attn_pattern"], reference(name)["attention"]) <= LIMIT
        assert nmse(t["blocks.*.attn.hook_pattern"], reference(name)["attention"]) <= LIMIT


@pytest.mark.parametrize("names", [None, "blk.0.resid_post"], ids=["all", "one"])
def test_adding_to_a_residual_is_their_hook_on_the_layer(name, names):
    with exact(name) as model, model.trace(ids(model.n_vocab), names) as t:
        t["blk.0.resid_post"][ROW] += ADDED * direction(model.h.width)
        assert nmse(t.logits[ROW:], reference(name)["added"]) <= LIMIT
        assert nmse(model.logits(t.ids)[ROW:], reference(name)["added"]) > 1e-4


@pytest.mark.parametrize("names", [None, "blk.0.resid_post"], ids=["all", "one"])
def test_later_tokens_read_keys_and_values_of_edited_ones(name, names):
    """As with transformers' own cache: the prompt is edited, the tokens after it are not."""
    with exact(name) as model:
        text = ids(model.n_vocab)
        with model.trace(text[:PROMPT], names, max_tokens=DECODED - PROMPT) as t:
            t["blk.0.resid_post"][ROW] += ADDED * direction(model.h.width)
            at_once = t.extend(text[PROMPT:DECODED]).logits
        with model.trace(text[:PROMPT], names, max_tokens=DECODED - PROMPT) as t:
            t["blk.0.resid_post"][ROW] += ADDED * direction(model.h.width)
            one_by_one = [t.extend([token]).logits for token in text[PROMPT:DECODED]]
    assert nmse(at_once, reference(name)["added_then_decoded"]) <= LIMIT
    assert nmse(np.concatenate(one_by_one), reference(name)["added_then_decoded"]) <= LIMIT


def test_an_ablated_network_is_their_hook_that_gives_zeros(name):
    def ablate(value, hook):
        assert hook.layer == 1
        return np.zeros_like(value)

    with exact(name) as model:
        found = model.run_with_hooks(ids(model.n_vocab), [("blocks.1.hook_mlp_out", ablate)])
    assert nmse(found[ROW:], reference(name)["ablated"]) <= LIMIT
