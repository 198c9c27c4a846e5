"""llama-gguf check: what may go wrong with a file."""

import click

from llama_gguf.cli import _model
from llama_gguf.cli._output import emit_json, json_option, note, printable
from llama_gguf.cli._quantizing import usage

SHOWN = 4
"""Affected tensors that are named; --json names all."""


@click.command()
@click.argument("model")
@click.option("--for", "file_type", metavar="TYPE", help="Before quantizing to this file type.")
@click.option("--imatrix", "imatrix_path", type=click.Path(exists=True, dir_okay=False), help="With this matrix.")
@click.option("--quick", is_flag=True, help="Do not read the weights for NaN and infinity.")
@json_option
def check(model, file_type, imatrix_path, quick, as_json):
    """Look for what may go wrong with a model file.

    Tied embeddings, odd widths, files that are quantized already, missing importance, weights that are no numbers,
    tokenizer, chat template, hyperparameters, tensors besides, memory, and what is known of the family. Exit code 1 if
    something cannot work.

    \b
    Examples:
      llama-gguf check model.gguf
      llama-gguf check model-f16.gguf --for IQ2_XS --imatrix imatrix.gguf --json
    """
    from llama_gguf.checks import compatibility_issues
    from llama_gguf.quantize import Imatrix
    from llama_gguf.quantize.recipes import known_file_type

    if file_type is not None:
        with usage():
            file_type = known_file_type(file_type)
    matrix = Imatrix.load(imatrix_path) if imatrix_path else None
    issues = compatibility_issues(_model.resolve(model), file_type, matrix, weights=not quick)
    if as_json:
        emit_json([issue.as_dict() for issue in issues])
    else:
        for issue in issues:
            click.echo(printable(text_of(issue)))
        if not issues:
            note("nothing to say against it")
    return 1 if any(issue.severity == "error" for issue in issues) else 0


def text_of(issue):
    """A finding in up to four lines."""
    rest = len(issue.affected) - SHOWN
    names = ", ".join(issue.affected[:SHOWN]) + f" and {rest} more" * (rest > 0)
    lines = [f"{issue.severity}: {' '.join(issue.summary.split())} [{issue.id}]"]
    lines += [f"  in: {names}"] * bool(names)
    lines += [f"  what to do: {issue.workaround}"] * bool(issue.workaround)
    lines += [f"  here: {issue.handled}"] * bool(issue.handled)
    return "\n".join(lines)
