"""llama-gguf imatrix: collect, join and look at importance matrices."""

import click

from llama_gguf.cli import _files, _model
from llama_gguf.cli._output import emit_json, json_option, note, table
from llama_gguf.cli._progress import progress_bar


@click.command()
@click.argument("model", required=False)
@click.option("-f", "--file", "text", type=click.Path(exists=True, dir_okay=False), help="The text, UTF-8.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="A .gguf file, or .dat for the old format.")
@click.option("--in-file", "inputs", multiple=True, type=click.Path(exists=True, dir_okay=False),
              help="Start from this matrix; several are added up.")
@click.option("--resume", is_flag=True, help="Go on where an unfinished -o stopped.")
@click.option("--chunk-size", default=512, show_default=True, type=click.IntRange(8), help="Tokens of a chunk.")
@click.option("--chunks", type=click.IntRange(1), help="As many at most.")
@click.option("--no-ppl", is_flag=True, help="No running perplexity: quicker.")
@click.option("--stats", is_flag=True, help="Statistics of the result, or of --in-file, as a table.")
@click.option("--picture", type=click.Path(dir_okay=False), help="Save them as a page with heat maps.")
@_files.force
@_model.threads
@json_option
def imatrix(model, text, output, inputs, resume, chunk_size, chunks, no_ppl, stats, picture, force, threads, as_json):
    """Collect importance matrices, join them, show what they say.

    An importance matrix is the mean square of what each weight of MODEL multiplies while it reads a text. Every
    product counts, the output matrix's too (in tied models that is token_embd.weight), and experts count their own
    tokens. The file is saved every 16 chunks, whole or not at all. Without MODEL, --in-file matrices are added up or
    shown. llama.cpp's own files of both formats can be read, and it reads these.

    \b
    Examples:
      llama-gguf imatrix model.gguf -f calibration.txt -o imatrix.gguf
      llama-gguf imatrix --in-file a.gguf --in-file b.dat -o both.gguf
      llama-gguf imatrix --in-file imatrix.gguf --stats
      llama-gguf imatrix --in-file imatrix.gguf --picture imatrix.html
    """
    check_usage(model, text, output, inputs, resume, stats or picture or as_json)
    model = model and _model.resolve(model)
    check_outputs(output, picture, [x for x in (model, text) if x], inputs, force, resume)
    matrix = joined(inputs, chunk_size)
    if model:
        matrix = collected(model, text, output, matrix, resume, chunk_size, chunks, not no_ppl, force, threads)
    elif output:
        matrix.save(output, force)
    if picture:
        matrix.stats().picture_page(picture, force)
    show(matrix, output, stats, as_json)


def check_usage(model, text, output, inputs, resume, shows):
    if model and not (text and output):
        raise click.UsageError("collecting needs a text (-f) and a file to write (-o)")
    if not model and not inputs:
        raise click.UsageError("give a MODEL to collect from, or --in-file")
    if not model and (text or resume):
        raise click.UsageError("-f and --resume need a MODEL")
    if resume and inputs:
        raise click.UsageError("--resume goes on with -o alone; add --in-file afterwards")
    if not model and not output and not shows:
        raise click.UsageError("say what to do with --in-file: -o, --stats, --json or --picture")


def joined(inputs, chunk_size):
    """The sum of some files; with none, an empty matrix."""
    from llama_gguf.quantize.imatrix import Imatrix

    first, *others = [Imatrix.load(path) for path in inputs] or [Imatrix(chunk_size=chunk_size)]
    return first.merge(*others) if others else first


def collected(model, text, output, start, resume, chunk_size, chunks, perplexity, force, threads):
    import os

    from llama_gguf.quantize.collect import collect_file
    from llama_gguf.quantize.imatrix import Imatrix

    with open(text, encoding="utf-8", errors="strict") as file:
        words = file.read()
    if resume and os.path.exists(output):
        note(f"going on after {Imatrix.load(output).n_chunks} chunks of {output}")
    with _model.open_model(model, n_threads=threads) as opened, progress_bar("chunk") as bar:

        def told(done, total, ppl, _):
            bar(done, total, f"perplexity {ppl:.4f}" if ppl else "")

        return collect_file(opened, words, output, resume=resume, force=force, add=start if len(start) else None,
                            chunk=chunk_size, chunks=chunks, perplexity=perplexity, progress=told,
                            dataset=os.path.basename(text))


def check_outputs(output, picture, sources, matrices, force, resume):
    """A matrix may take the place of one that it is a sum of; nothing else that is read is written over."""
    from llama_gguf.gguf.atomic import check_output
    from llama_gguf.quantize.collect import check_file

    if output:
        check_file(output, force, resume, sources)
    if picture:
        check_output(picture, None, force, [*sources, *matrices])


def show(matrix, output, stats, as_json):
    found = matrix.stats() if stats or as_json else None
    if as_json:
        emit_json({"path": output or str(matrix.path), "weights": len(matrix), "chunks": matrix.n_chunks,
                   "chunk_size": matrix.chunk_size, "datasets": matrix.datasets, "tensors": found.rows,
                   "layers": found.layers})
    elif stats:
        rows = [cells(r) for r in found.rows]
        titles = ("TENSOR", "COLUMNS", "SUM", "MAX", "ACTIVE", "ENTROPY", "EVENNESS", "COSINE", "TOKENS")
        table(rows, titles, right=range(1, 9))
    elif output:
        click.echo(output)


def cells(row):
    def number(key, form):
        return "-" if row[key] is None else format(row[key], form)

    return (row["tensor"], row["columns"], number("sum_of_squares", ".4g"), number("max", ".4g"),
            number("active", ".1%"), number("entropy", ".2f"), number("evenness", ".1%"), number("cosine", ".4f"),
            row["tokens"])
