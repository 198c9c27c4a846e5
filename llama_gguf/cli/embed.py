"""llama-gguf embed: vectors of texts."""

import click

from llama_gguf.cli import _model
from llama_gguf.cli._output import emit_json, json_option


@click.command()
@click.argument("model")
@click.option("-p", "--prompt", "texts", multiple=True, metavar="TEXT", help="A text; may be repeated; - reads stdin.")
@click.option(
    "--pooling",
    type=click.Choice(("mean", "cls", "last", "none", "rank")),
    help="How tokens become one vector (none: one each). Default: as the file says, else mean.",
)
@click.option("--normalize/--no-normalize", default=True, help="Vectors of length 1. Default: yes.")
@json_option
@_model.threads
def embed(model, texts, pooling, normalize, as_json, threads):
    """Show texts as vectors, one a line.

    Texts are near in meaning where the sum of products of their vectors is near to 1, if MODEL was
    trained for that.

    \b
    Example:
      llama-gguf embed minilm.gguf -p "a cat" -p "a kitten" --json
    """
    texts = list(texts) if len(texts) > 1 else [_model.read_prompt(texts[0] if texts else None)]
    with _model.open_model(model, n_threads=threads) as m:
        found = m.embed(texts, pooling, normalize)
    if as_json:
        emit_json([{"text": t, "embedding": x.tolist()} for t, x in zip(texts, found, strict=True)])
        return
    for vectors in found:
        for row in vectors if vectors.ndim > 1 else [vectors]:
            click.echo(" ".join(f"{x:.7g}" for x in row))
