"""llama-gguf tokenize: the token ids of a text."""

import sys

import click

from llama_gguf.cli import _model
from llama_gguf.cli._output import emit_json, json_option, printable, table


@click.command()
@click.argument("model")
@click.argument("text")
@click.option("--bos/--no-bos", default=True, help="Begin as the file says. Default: yes.")
@click.option(
    "--special/--no-special", default=True, help="Read the texts of special tokens. Default: yes."
)
@click.option("--show", is_flag=True, help="Tell how each word came to its tokens, step by step.")
@json_option
def tokenize(model, text, bos, special, show, as_json):
    """Show the tokens of TEXT.

    TEXT - is read from stdin. A token that is part of a character is shown as bytes.

    \b
    Examples:
      llama-gguf tokenize smollm2 "Hello world" --json
      llama-gguf tokenize smollm2 "tokenization" --show
    """
    if text == "-":
        text = sys.stdin.read()
    with _model.open_model(model, vocab_only=True) as m:
        if show:
            told = m.tokenizer.explain(text, bos=bos, special=special)
            emit_json(told.as_dict()) if as_json else click.echo(printable(str(told)))
            return
        ids = m.tokenize(text, bos=bos, special=special)
        pieces = [bytes(m.tokenizer.piece(i)) for i in ids]
    if as_json:
        emit_json([_as_json(i, p) for i, p in zip(ids, pieces, strict=True)])
    else:
        table([(i, quoted(p)) for i, p in zip(ids, pieces, strict=True)], ("ID", "TEXT"), (0,))


def _as_json(token, piece):
    """`text` may show U+FFFD where a token is part of a character; `bytes` (hex) is exact."""
    return {"id": int(token), "text": piece.decode("utf-8", "replace"), "bytes": piece.hex()}


def quoted(piece):
    """A token in quotes: its text where it is whole characters, else its bytes."""
    try:
        return repr(piece.decode())
    except UnicodeDecodeError:
        return repr(piece)
