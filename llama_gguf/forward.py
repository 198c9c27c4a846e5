"""A whole forward pass: embedding, blocks, head, in the order that all models share."""

from . import hparams, models, sets
from .errors import ModelError
from .graph import Act, Graph, Weights, wrong
from .nn.core import split
from .nn.latent import heads_join

IGNORED = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")  # read by rope.py


def graph_of(metadata, tensors, n_ctx=None):
    """The graph of a model, by what a header says: no weight is read. ModelError where there cannot be one."""
    family = models.find(metadata.arch)
    h = hparams.read(metadata, family, tensors)
    graph = Graph(h, n_ctx or h.context)
    weights = Weights(graph, tensors)
    trace(graph, family, weights)
    check_complete(graph, weights, metadata)
    return graph


def skipped_blocks(h):
    """Beginnings of names of tensors behind the layers, which only predict several tokens at once."""
    return tuple(f"blk.{h.layers + i}." for i in range(h.skipped))


def check_complete(graph, weights, metadata):
    """ModelError if a tensor is not read, which belongs to a structure that no model file states, or if one of a set is
    missing, or experts are.
    """
    sets.check(weights.names, models.find(metadata.arch), graph.h.layers)
    skipped = skipped_blocks(graph.h)
    unread = [n for n in weights.unused() if n not in IGNORED and not n.startswith(skipped)]
    if unread:
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        raise ModelError(
            f"tensor {unread[0]}{more} is not part of the {metadata.arch} models that llama-gguf knows; "
            "the file is some other structure and would give wrong answers",
            tensor=unread[0],
        )
    routing = graph.h.routing
    if routing and not any(r.kind == "experts_sum" for r in graph.records):
        raise metadata.error(".expert_count", f"is {routing.count}, but no layer has experts")


def trace(graph, module, weights, layers=None, states=False):
    """Run a model file on symbolic values. `layers`: a range; the first embeds, the last makes logits.

    A range that does not start at 0 takes residuals instead of tokens; one that ends early gives residuals instead of
    logits: (n_tokens, streams * width), and behind them the numbers that tokens have for each layer, where there are
    such. `states`: end with what logits would be made of, as encoders always do.
    """
    h = graph.h
    layers = range(h.layers) if layers is None else layers
    if layers.start == 0:
        x = embedded(graph, module, weights)
    else:
        x = received(graph, layers)
    for layer in layers:
        x = block(graph, module, weights.layer(layer), x, layer)
    if layers.stop < h.layers:
        x = x if graph.per_layer is None else heads_join(x, graph.per_layer, 1, "residual")
        return graph.emit("copy", x, width=x.width, name="residual_out")
    x = graph.emit("select", x, width=x.width, name="resid_final", wanted=True)
    encoder = getattr(module, "ENCODER", False)
    logits = module.head(weights, x, h)
    if encoder:
        graph.alias("states", logits)
    graph.ranks, graph.projects = (has_head(module, name, weights, h) for name in ("rank", "project"))
    if encoder or states:
        return graph.end("states")
    rows = weights.token_embd.matrix("embedding")[0]
    if logits.width != rows:
        raise wrong(logits.tensor, f"gives {logits.width} logits, but the vocabulary has {rows} tokens")
    graph.alias("logits", logits)
    return logits


def has_head(module, name, weights, h):
    """Does the file have what makes scores, or other vectors, of a text's vector? Its records are no part of a pass."""
    beside = Graph(h)
    head = getattr(module, name, None)
    return head is not None and head(weights.beside(beside), Act(beside, -1, h.width), h) is not None


def received(graph, layers):
    """Residuals of the layers before these, and what they hand on beside them."""
    h = graph.h
    width, beside = h.streams * h.width, h.layers * h.per_layer if layers else 0
    x = graph.emit("input", width=width + beside, name="residual_in")
    if beside:
        x, graph.per_layer = split(x, width, beside)
    return x


def embedded(graph, module, weights):
    table, width = weights.token_embd, graph.h.width
    table.table(width)
    x = graph.emit("embed", width=width, name="token_embd", weight=table)
    return module.embed(weights, x, graph.h) if hasattr(module, "embed") else x


def block(graph, module, w, x, layer):
    """One layer; the residual stream and what is added to it get their standard names."""
    graph.scope, graph.stream = f"blk.{layer}.", {x.id}
    graph.alias(f"{graph.scope}resid_pre", x)
    out = module.block(w, x, graph.h.layer(layer), layer)
    graph.alias(f"{graph.scope}resid_post", out)
    graph.scope, graph.stream = "", set()
    return out
