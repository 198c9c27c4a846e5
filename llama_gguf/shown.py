"""How a model and an answer look in a notebook: static HTML."""

from .gguf.reprs import code, folded, headed, metadata_html, of_open_files, size, tensors_html, types_table
from .pictures import markup, table, together
from .pictures.frame import FONT, text


@of_open_files
def model_html(model):
    """What it is, how large, how it runs; metadata and tensors folded in."""
    tensors, get = model.tensors, model.metadata.get
    facts = [
        ("file", code(model.path)),
        ("architecture", get("general.architecture", "")),
        ("weights", f"{tensors.n_elements:,}, {tensors.bits_per_weight:.2f} bits each, {size(model.file.size)}"),
    ]
    if model.graph is not None:
        h = model.h
        facts += [
            ("layers", f"{h.layers} of width {h.width}"),
            ("vocabulary", f"{model.n_vocab:,} tokens"),
            ("context", f"{model.n_ctx:,} of {h.context:,} positions, kept in {model.kv_type}"),
            ("runs", running(model)),
        ]
    else:
        facts.append(("runs", "vocabulary only" if model.vocab_only else "closed"))
    return together(
        headed(get("general.name") or model.path.name),
        table(facts),
        types_table(tensors),
        folded("metadata", metadata_html(model.metadata)),
        folded("tensors", tensors_html(tensors)),
    )


def running(model):
    how = "exactly, on float activations" if model.exact else "packed" if model.store.repack else "from the mapped file"
    return f"{how}, {model.n_threads} thread{'s' * (model.n_threads != 1)}"


def result_html(result):
    """The text, and below it how it came about."""
    told = (
        f"{len(result.tokens)} tokens, ended by {result.finish_reason}; prompt {result.prompt_tokens} tokens at "
        f"{result.prompt_tokens_per_second:.0f}/s, then {result.tokens_per_second:.1f}/s"
    )
    return markup(
        f'<div style="{FONT}"><div style="white-space:pre-wrap;border-left:3px solid rgba(128,128,128,.4);'
        f'padding-left:10px">{text_lines(result.text)}</div><div style="opacity:.7">{text(told)}</div></div>'
    )


def text_lines(body):
    """Escaped, with its line ends."""
    return "<br/>".join(text(line) for line in body.split("\n"))
