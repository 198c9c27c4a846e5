"""llama-gguf convert: a Hugging Face model folder to a GGUF file."""

import click

from llama_gguf.cli._output import emit_json, human_size, json_option, note
from llama_gguf.cli._progress import progress_bar
from llama_gguf.cli._quantizing import usage, warn


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False))
@click.option("-o", "--output", "out", required=True, metavar="OUT", help="The file to write, or a folder for it.")
@click.option("-t", "--type", "kind", default="auto", metavar="TYPE", show_default=True,
              help="F32, F16, BF16, Q8_0, or a recipe such as Q4_K_M; auto keeps BF16 and F16.")
@click.option("--pre", metavar="NAME", help="The pre-tokenizer's name, where the folder's is not recognized.")
@click.option("--name", metavar="NAME", help="The model's name. Default: what its card, config or folder says.")
@click.option("--check/--no-check", default=True, help="Refuse what llama-gguf could not run. Default: yes.")
@click.option("--dry-run", is_flag=True, help="Say what the file would hold; write nothing.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing file.")
@json_option
def convert(folder, out, kind, pre, name, check, dry_run, force, as_json):
    """Convert a Hugging Face model folder to GGUF.

    DIR holds config.json, model*.safetensors and the tokenizer's files. Nothing in it is run, and no torch is needed:
    tensors go to the file one by one. What is left out or odd is told on stderr.

    \b
    Examples:
      llama-gguf convert SmolLM2-135M-Instruct -o smollm2.gguf
      llama-gguf convert Qwen3-0.6B -o models --type Q8_0
      llama-gguf convert Qwen3-0.6B -o models --dry-run --json
    """
    from llama_gguf.convert import Conversion
    from llama_gguf.convert.writing import checked

    if kind != "auto":
        with usage():
            checked(kind)
    conversion = Conversion(folder, kind, pre, name, check)
    path = None if dry_run else _written(conversion, out, force)
    for text in conversion.notes:
        note(f"Note: {text}")
    if path:
        warn(path)
    if as_json:
        emit_json(conversion.summary() | {"path": path and str(path)})
    elif path:
        click.echo(path)
    else:
        _show(conversion.summary())


def _written(conversion, out, force):
    with progress_bar("", conversion.arch, conversion.parameters[0]) as bar:
        return conversion.write(out, force, bar)


def _show(summary):
    for key in ("architecture", "name", "type", "tensors", "parameters", "tokenizer", "pre_tokenizer", "tokens"):
        click.echo(f"{key:<14} {summary[key]}")
    click.echo(f"{'size':<14} {human_size(summary['size_bytes'])}")
