"""llama-gguf models: what is on this machine, what is on the Hub."""

import sys

import click

from llama_gguf.cli._output import emit_json, human_size, json_option, note, table

SORTS = ("downloads", "likes", "created", "modified", "trending")


@click.group()
def models():
    """List and remove the models on this machine, search the Hub."""


@models.command("list")
@json_option
def list_models(as_json):
    """List the models on this machine by the NAME that runs them.

    Those of the Hub's cache, of Python packages, of Ollama and of LM Studio. The last two are only read.
    """
    from llama_gguf import catalogue, shelf

    found = shelf.models()
    if as_json:
        return emit_json([_row(m) for m in found])
    if not found:
        return note(f"no models yet; `llama-gguf download {next(iter(catalogue.ALIASES))}`")
    cells = [(m.name, human_size(m.size_bytes), m.path) for m in found]
    return table(cells, ("NAME", "SIZE", "PATH"), right=(1,))


def _row(model):
    from llama_gguf import catalogue

    return {
        "name": model.name,
        "size_bytes": model.size_bytes,
        "quant": catalogue.quant_of(model.paths[0].name),
        "source": model.source,
        "path": str(model.path),
        "files": len(model.paths),
    }


@models.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", default=20, type=click.IntRange(1, 1000), show_default=True)
@click.option("--author", metavar="USER", help="Only of this user or organization.")
@click.option("--sort", default="downloads", type=click.Choice(SORTS), show_default=True)
@json_option
def search(words, limit, author, sort, as_json):
    """Search the Hub for repositories with GGUF files.

    \b
    Examples:
      llama-gguf models search smollm2 instruct
      llama-gguf models search qwen3 --author unsloth --sort trending
    """
    from llama_gguf import hub

    found = hub.search(" ".join(words), limit, author, sort)
    if as_json:
        return emit_json(found)
    if not found:
        return note(f"nothing on the Hub matches {' '.join(words)!r}")
    cells = [
        (m["name"], f"{m['downloads']:,}", f"{m['likes']:,}", (m["last_modified"] or "")[:10]) for m in found
    ]
    return table(cells, ("NAME", "DOWNLOADS", "LIKES", "MODIFIED"), right=(1, 2))


@models.command()
@click.argument("model")
def path(model):
    """Print the path of a model that is on this machine.

    Nothing is downloaded. Of a split model it is the first shard's.

    \b
    Example:
      llama-gguf models path user/repo:Q4_K_M
    """
    from llama_gguf import hub
    from llama_gguf.errors import NameNotFound

    found = hub.at_hand(model)
    if found is None:
        raise NameNotFound(f"{model} is not on this machine; `llama-gguf download {model}` fetches it")
    click.echo(found)


@models.command()
@click.argument("model")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
def remove(model, yes, as_json):
    """Delete a model from the caches.

    MODEL is user/repo/FILE, user/repo:QUANT, pypi:PACKAGE, or user/repo for all GGUF files that are cached of it. Files
    of other programs and files outside the caches are never deleted.

    \b
    Example:
      llama-gguf models remove user/repo:Q4_K_M
    """
    from llama_gguf import shelf

    found = shelf.removable(model)
    for m in found:
        note(f"{m.name}  {human_size(m.size_bytes)}")
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here; --yes removes what is listed")
        click.confirm("Remove?", abort=True, err=True)
    freed = shelf.remove(found)
    if as_json:
        return emit_json({"removed": [m.name for m in found], "freed_bytes": freed})
    return note(f"{human_size(freed)} freed")
