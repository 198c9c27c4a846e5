"""llama-gguf split: a model in several files."""

import click

from llama_gguf.cli import _files, _model
from llama_gguf.cli._output import emit_json, human_size, json_option
from llama_gguf.cli._progress import progress_bar


@click.command()
@click.argument("model")
@click.option("-o", "--output", metavar="STEM", required=True, help="STEM-00001-of-0000N.gguf are written.")
@click.option("--max-size", type=_files.Size(), metavar="SIZE", help="Of a shard: 500M, 2G, 1.5GiB.")
@click.option("--max-tensors", type=click.IntRange(1), help="In a shard.")
@click.option("--small-first", is_flag=True, help="No tensors in the first shard.")
@_files.force
@json_option
def split(model, output, max_size, max_tensors, small_first, force, as_json):
    """Cut a model into shards.

    One that is split already is cut anew. Shards are named and numbered as llama.cpp does it, and open by the first.
    They appear all at the end, or none.

    \b
    Examples:
      llama-gguf split model.gguf -o model --max-size 2G
      llama-gguf split old-00001-of-00009.gguf -o new --max-tensors 128
    """
    if (max_size is None) == (max_tensors is None):
        raise click.UsageError("give --max-size or --max-tensors")
    from llama_gguf.gguf.split import split as write_shards

    limits = {"max_bytes": max_size, "max_tensors": max_tensors, "small_first": small_first}
    stem = output.removesuffix(".gguf")
    with progress_bar(label="split") as bar:
        paths = write_shards(_model.resolve(model), stem, **limits, force=force, progress=bar)
    if as_json:
        return emit_json([{"path": str(path), "size_bytes": path.stat().st_size} for path in paths])
    for path in paths:
        click.echo(f"{path}  {human_size(path.stat().st_size)}")
    return None
