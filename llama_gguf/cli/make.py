"""llama-gguf make: from a model folder to quantized files with a card."""

from contextlib import ExitStack, contextmanager

import click

from llama_gguf.cli import _files, _model
from llama_gguf.cli._output import emit_json, human_size, json_option, note, table
from llama_gguf.cli._progress import nothing, progress_bar
from llama_gguf.cli._quantizing import usage


@click.command()
@click.argument("source")
@click.option("-o", "--output", required=True, metavar="DIR", help="The folder for the files and their card.")
@click.option("--types", required=True, metavar="TYPE,...", help="Q4_K_M,IQ2_XS,...: a file of each.")
@click.option("--imatrix-text", type=click.Path(exists=True, dir_okay=False), help="Make an importance matrix of it.")
@click.option("--imatrix", type=click.Path(exists=True, dir_okay=False), help="Take this importance matrix.")
@click.option("--chunks", type=click.IntRange(1), help="Of the text, at most. Default: all.")
@click.option("--name", help="What the files' names begin with. Default: the model's name.")
@click.option("--keep", is_flag=True, help="Keep the converted file, too.")
@click.option("--max-size", type=_files.Size(), metavar="SIZE", help="Split larger files: 2G, 500M, ...")
@_model.threads
@_files.force
@json_option
def make(source, output, types, imatrix_text, imatrix, chunks, name, keep, max_size, threads, force, as_json):
    """Convert, quantize and check a model in one go.

    SOURCE is a Hugging Face folder, a GGUF file in F32, F16 or BF16, or a NAME on the Hub. It is converted, an
    importance matrix is made where a text is given, a file of each type is written and compared with the original.
    README.md and card.json tell how all of it was made, with the SHA-256 of everything.

    \b
    Examples:
      llama-gguf make SmolLM2-135M-Instruct -o out --types Q4_K_M,Q8_0
      llama-gguf make user/repo -o out --types IQ2_XS --imatrix-text text.txt
    """
    from llama_gguf.make import make as run
    from llama_gguf.quantize.recipes import known_file_type

    options = {"imatrix": imatrix, "text": imatrix_text, "chunks": chunks, "name": name, "keep": keep}
    options |= {"max_size": max_size, "n_threads": threads, "force": force}
    with usage():
        kinds = [known_file_type(kind.strip()) for kind in types.split(",") if kind.strip()]
    with _stages() as tell:
        card = run(source, output, kinds, **options, progress=tell)
    for text in card["source"].get("notes", ()):
        note(f"Note: {text}")
    if as_json:
        return emit_json(card)
    rows = [
        (f["file"], f["type"], human_size(f["size_bytes"]), f"{f['bits_per_weight']:.2f}", *_measures(f["check"]))
        for f in card["files"]
    ]
    return table(rows, ("FILE", "TYPE", "SIZE", "BITS", "KL", "SAME TOKEN"), right=(2, 3, 4, 5))


def _measures(check):
    if "cosine" in check:
        return f"cosine {check['cosine']:.5f}", ""
    return f"{check['kl']:.5f}", f"{check['same_top']:.1%}"


@contextmanager
def _stages():
    """A bar for each stage on a terminal; else its name, a line on stderr."""
    with ExitStack() as opened:
        name, bar = None, nothing

        def tell(stage, done, total):
            nonlocal name, bar
            if stage != name:
                opened.close()
                name, bar = stage, opened.enter_context(progress_bar("", stage))
                if bar is nothing:
                    note(stage)
            bar(done, total)

        yield tell
