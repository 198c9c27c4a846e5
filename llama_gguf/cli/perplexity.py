"""llama-gguf perplexity: how well a model predicts a text, alone or beside another."""

import click

from llama_gguf.cli import _model
from llama_gguf.cli._output import emit_json, json_option, note
from llama_gguf.cli._progress import progress_bar


@click.command()
@click.argument("model")
@click.option("-f", "--file", "text", type=click.File("rb"), help="The text; - reads stdin.")
@click.option(
    "--kl",
    "base",
    metavar="BASE",
    help="Also the KL divergence from BASE: another model's NAME, or a file of --save-base or llama-perplexity.",
)
@click.option("--save-base", metavar="FILE", help="Only write MODEL's log probabilities to FILE, for --kl.")
@click.option("--force", is_flag=True, help="Let --save-base replace FILE.")
@click.option(
    "-c",
    "--ctx",
    type=click.IntRange(3),
    help="Tokens of a window. Default: 512, or all of a shorter text.",
)
@click.option("--chunks", type=click.IntRange(1), help="Windows at most. Default: all.")
@click.option("--exact", is_flag=True, help="Float activations: slower, without the rounding of 8-bit ones.")
@json_option
@_model.threads
@_model.kv_type
def perplexity(model, text, base, save_base, force, ctx, chunks, exact, as_json, threads, kv_type):
    """Show the perplexity of MODEL on a text.

    As llama-perplexity counts it: windows that do not overlap, of each the second half is scored; of a text shorter
    than a window, all (with --save-base the second half). Besides the models this takes 64 MB of logits at a time and
    the cache of one window. A file of --save-base has 2 bytes for each scored token and token of the vocabulary: 25 MB
    for each window of 512 with 49152 tokens, 134 MB with 262144.

    \b
    Examples:
      llama-gguf perplexity model-Q4_K_M.gguf -f wiki.test.raw
      llama-gguf perplexity model-Q2_K.gguf -f wiki.test.raw --kl model-Q8_0.gguf --chunks 20
    """
    from llama_gguf.evaluate.base_file import is_base_file
    from llama_gguf.gguf.atomic import check_output

    known = base is not None and is_base_file(base)
    if text is None and not known:
        raise click.UsageError("give a text with -f (-f - reads stdin)")
    if save_base and base is not None:
        raise click.UsageError("--save-base only writes; --kl is another run")
    if known and (text is not None or ctx is not None):
        raise click.UsageError(f"{base} holds its text and its windows itself: leave out -f and -c, or give a model")
    if save_base:
        check_output(save_base, None, force, [text.name])
    words = None if text is None else _words(text)
    options = dict(n_threads=threads, kv_type=kv_type, exact=exact)
    with _model.open_model(model, **options) as m:
        if save_base:
            with progress_bar("window") as bar:
                m.save_base(words, save_base, ctx, chunks, force, progress=bar)
            note(f"wrote {save_base}")
        elif known:
            _tell(m, _measured(m.kl_divergence, base, chunks=chunks), as_json)
        elif base:
            with _model.open_model(base, **options) as other:
                _tell(m, _measured(m.kl_divergence, other, words, ctx, chunks), as_json)
        else:
            _tell(m, _measured(m.perplexity, words, ctx, chunks), as_json)


def _words(file):
    """The text with its line ends as they are, less a last one, which llama-perplexity leaves out too."""
    try:
        return file.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file.name} is not UTF-8 text (byte {error.start}); convert it first") from None


def _measured(measure, *what, **how):
    """What a method finds, with a bar that shows the value so far."""
    with progress_bar("window") as bar:
        return measure(*what, **how, progress=lambda found, total: bar(found.chunks, total, _value(found)))


def _value(result):
    return f"KL {result.kl:.5f} ± {result.kl_error:.5f}" if hasattr(result, "kl") else str(result)


def _tell(model, result, as_json):
    if as_json:
        emit_json({"model": str(model.path)} | result.to_dict())
    else:
        click.echo(str(result))
        tokens, windows = _count(result.tokens, "token"), _count(result.chunks, "window")
        note(f"{tokens} scored in {windows} of {result.n_ctx}, {result.seconds:.1f} s")


def _count(n, word):
    return f"{n} {word}{'s' * (n != 1)}"
