"""llama-gguf set, rename, remove, add-template: change what a file says of itself."""

import click

from llama_gguf.cli import _files, _model
from llama_gguf.cli._output import note
from llama_gguf.cli._progress import progress_bar

outcome = _model.options(
    click.option("-o", "--output", metavar="FILE", help="Write here. Default: in place."),
    click.option("--allow-broken", "broken", is_flag=True, help="Change it though it breaks the file."),
    _files.force,
)
of_tensors = click.option("--tensor", is_flag=True, help="Names of tensors, not of keys.")
file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False))


@click.command("set", context_settings={"ignore_unknown_options": True})  # VALUE may be -1
@file_argument
@click.argument("key")
@click.argument("value")
@click.option("--type", "kind", metavar="TYPE", help="Of a new key: u32, f32, bool, str, i32[], ...")
@outcome
def set_value(file, key, value, kind, output, broken, force):
    """Set a metadata key.

    KEY keeps its type. The file is written anew, whole or not at all, tensors byte for byte. Keys that describe
    tensors or vocabulary are refused without --allow-broken.

    \b
    Examples:
      llama-gguf set model.gguf general.name "My model"
      llama-gguf set model.gguf llama.context_length 8192 -o longer.gguf
      llama-gguf set model.gguf my.numbers "[1, 2, 3]" --type u16[]
    """
    from llama_gguf import edit

    with progress_bar(label="write") as bar:
        old, new = edit.set_value(file, key, value, kind=kind, out=output, broken=broken, force=force, progress=bar)
    was = "new" if old is None else f"was {_shown(old)}"
    note(f"{key} = {_shown(new)} ({new.kind}{'[]' * isinstance(new.value, list)}), {was}")
    click.echo(output or file)


def _shown(typed):
    text = repr(typed.value)
    return text if len(text) <= 100 else f"{text[:100]}... ({len(text):,} characters)"


@click.command()
@file_argument
@click.argument("old")
@click.argument("new")
@of_tensors
@outcome
def rename(file, old, new, tensor, output, broken, force):
    """Give a key, or a tensor, another name.

    \b
    Example:
      llama-gguf rename model.gguf general.description general.tagline
    """
    from llama_gguf import edit

    with progress_bar(label="write") as bar:
        edit.rename(file, old, new, tensor=tensor, out=output, broken=broken, force=force, progress=bar)
    click.echo(output or file)


@click.command()
@file_argument
@click.argument("names", nargs=-1, required=True)
@of_tensors
@outcome
def remove(file, names, tensor, output, broken, force):
    """Take keys, or tensors, out of a file.

    \b
    Example:
      llama-gguf remove model.gguf general.description general.tags
    """
    from llama_gguf import edit

    with progress_bar(label="write") as bar:
        edit.remove(file, names, tensor=tensor, out=output, broken=broken, force=force, progress=bar)
    click.echo(output or file)


@click.command("add-template")
@file_argument
@click.argument("template", type=click.File(encoding="utf-8"))
@click.option("--name", help="Add it under a name, beside the one that is used (tool_use, rag ...).")
@outcome
def add_template(file, template, name, output, broken, force):
    """Add a chat template, or replace it.

    TEMPLATE is a Jinja file, or - for stdin. It must compile.

    \b
    Example:
      llama-gguf add-template model.gguf chatml.jinja -o chat.gguf
    """
    from llama_gguf import edit

    with progress_bar(label="write") as bar:
        edit.add_template(file, template.read(), name, out=output, broken=broken, force=force, progress=bar)
    click.echo(output or file)
