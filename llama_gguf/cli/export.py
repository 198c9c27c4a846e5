"""llama-gguf export: a GGUF model to a folder for transformers, or such a folder in other shards."""

from pathlib import Path

import click

from llama_gguf.cli import _model
from llama_gguf.cli._output import emit_json, json_option, note
from llama_gguf.cli._progress import progress_bar


@click.command()
@click.argument("model")
@click.option("-o", "--output", "out", required=True, metavar="DIR", help="The folder to write.")
@click.option("-t", "--type", "kind", default="auto", metavar="TYPE", show_default=True,
              help="F32, F16 or BF16; auto keeps these and writes all else in F32, without loss.")
@click.option("--shard-size", default=5.0, metavar="GB", show_default=True, help="Bytes of a file, at most.")
@click.option("-f", "--force", is_flag=True, help="Replace the files of an existing folder.")
@json_option
def export(model, out, kind, shard_size, force, as_json):
    """Export a GGUF model to a folder that transformers can load.

    The folder gets config.json, the tokenizer's files and model.safetensors, the inverse of what convert reads. Where
    MODEL is itself such a folder, it is written with other sizes of files: split or merged.

    \b
    Examples:
      llama-gguf export smollm2 -o SmolLM2-135M
      llama-gguf export model.gguf -o folder --type BF16
      llama-gguf export folder -o whole --shard-size 1000
    """
    from llama_gguf.convert import export as write
    from llama_gguf.convert import resplit

    limit, notes = int(shard_size * 1e9), []
    with progress_bar(label="export") as bar:
        if Path(model).is_dir():
            path = resplit(model, out, limit, force=force, progress=bar)
        else:
            exported = write(_model.resolve(model), out, kind.upper() if kind != "auto" else kind, force=force,
                             max_shard_bytes=limit, progress=bar)
            path, notes = exported.path, exported.notes
    for text in notes:
        note(f"Note: {text}")
    if as_json:
        emit_json({"path": str(path), "files": sorted(p.name for p in path.iterdir()), "notes": notes})
    else:
        click.echo(path)
