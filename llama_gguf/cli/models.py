"""llama-gguf models: what is on this machine, what is on the Hub."""

import click

from llama_gguf.cli._output import emit_json, human_size, json_option, note, table


@click.group()
def models():
    """List the models on this machine, or search the Hub."""


@models.command("list")
@json_option
def list_models(as_json):
    """List the cached models by the NAME that runs them."""
    from llama_gguf import catalogue

    found = catalogue.cached_models()
    if as_json:
        return emit_json(
            [{"name": m.name, "size_bytes": m.size_bytes, "path": str(m.path)} for m in found]
        )
    if not found:
        return note(f"no models yet; `llama-gguf download {next(iter(catalogue.ALIASES))}`")
    cells = [(m.name, human_size(m.size_bytes), m.path) for m in found]
    return table(cells, ("NAME", "SIZE", "PATH"), right=(1,))


@models.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", default=20, type=click.IntRange(1, 1000), show_default=True)
@json_option
def search(words, limit, as_json):
    """Search the Hub for repositories with GGUF files.

    The most downloaded come first.

    \b
    Example:
      llama-gguf models search smollm2 instruct
    """
    from llama_gguf import hub

    found = hub.search(" ".join(words), limit)
    if as_json:
        return emit_json(found)
    if not found:
        return note(f"nothing on the Hub matches {' '.join(words)!r}")
    cells = [(m["name"], f"{m['downloads']:,}", (m["last_modified"] or "")[:10]) for m in found]
    return table(cells, ("NAME", "DOWNLOADS", "MODIFIED"), right=(1,))
