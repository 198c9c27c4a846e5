"""llama-gguf merge: one file of many."""

import click

from llama_gguf.cli import _files, _model
from llama_gguf.cli._output import emit_json, human_size, json_option
from llama_gguf.cli._progress import progress_bar


@click.command()
@click.argument("model")
@click.option("-o", "--output", metavar="FILE", required=True)
@_files.force
@json_option
def merge(model, output, force, as_json):
    """Join the shards of a model.

    MODEL is the first shard; the others lie beside it. All that are missing are named.

    \b
    Example:
      llama-gguf merge model-00001-of-00003.gguf -o model.gguf
    """
    from llama_gguf.gguf.split import merge as join

    with progress_bar(label="merge") as bar:
        n_bytes = join(_model.resolve(model), output, force=force, progress=bar)
    if as_json:
        return emit_json({"path": output, "size_bytes": n_bytes})
    return click.echo(f"{output}  {human_size(n_bytes)}")
