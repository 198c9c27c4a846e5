"""llama-gguf plan: will it fit, and how fast can it be?"""

import click

from llama_gguf.cli import _model
from llama_gguf.cli._output import emit_json, human_size, json_option, table


@click.command()
@_model.default_model
@_model.threads
@_model.context
@_model.kv_type
@click.option("--batch", default=256, type=click.IntRange(1, 1 << 16), show_default=True, help="Tokens of a step.")
@click.option("--sequences", default=1, type=click.IntRange(1, 4096), show_default=True, help="With a cache each.")
@click.option("--repack/--no-repack", default=None, help="Default: pack weights if they fit.")
@json_option
def plan(model, threads, ctx, kv_type, batch, sequences, repack, as_json):
    """Tell what memory a model takes, and how fast it can be.

    Of a model on the Hub only the header is read: nothing is downloaded. Memory is that of a full context; tokens per
    second are those at which this machine can read weights and cache. docs/planning.md tells how it is counted.

    \b
    Examples:
      llama-gguf plan model.gguf -c 8192
      llama-gguf plan user/repo:Q4_K_M -c 32768 --kv-type Q8_0
    """
    from llama_gguf import sizing

    options = {"n_ctx": ctx, "kv_type": kv_type, "batch": batch, "n_seq": sequences, "n_threads": threads}
    with _model.look(model) as file:
        found = sizing.estimate(file, repack="auto" if repack is None else repack, **options)
    rate = sizing.bandwidth(threads)
    speeds = {at: round(found.tokens_per_second(rate, p), 2) for at, p in (("start", 0), ("end", found.n_ctx - 1))}
    if as_json:
        return emit_json(found.as_dict() | {"bandwidth": int(rate), "tokens_per_second": speeds})
    click.echo(found)
    click.echo(f"decoding, if reading memory at {rate / 1e9:.1f} GB/s is all that takes time: "
               f"{speeds['start']:.1f} tokens/s, at the end of the context {speeds['end']:.1f}")
    click.echo()
    return table(_rows(found.layers), ("LAYERS", "KEEP", "HEADS", "KEYS", "VALUES", "SIZE"), right=(2, 3, 4, 5))


def _rows(layers):
    """Layers that are alike as one row."""
    groups = {}
    for row in layers:
        key = row["kind"], row.get("heads", ""), row.get("key_dim", ""), row.get("value_dim", "")
        groups.setdefault(key, []).append(row["bytes"])
    return [(len(sizes), *key, human_size(sum(sizes))) for key, sizes in groups.items()]
