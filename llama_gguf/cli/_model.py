"""From the command line to a loaded model: names, shared options, the prompt."""

import os
import select
import stat
import sys

import click

from llama_gguf.cli._output import note

FORCE = "llama_gguf.force"
STDIN_PATIENCE = 0.5
"""Seconds to wait for a pipe that may never be written, where -p already gives a prompt."""


def resolve(name, **options):
    """hub.resolve; what it picks, and from where, is told on stderr."""
    from llama_gguf import hub
    from llama_gguf.cli._log import log_on_stderr

    with log_on_stderr():
        return hub.resolve(name, **options)


def look(name, **options):
    """remote.look: an open GGUFFile; of a remote file only the header is fetched."""
    from llama_gguf import remote
    from llama_gguf.cli._log import log_on_stderr

    with log_on_stderr():
        return remote.look(name, **options)


def open_model(name, **options):
    """A llama_gguf.Model of any NAME; --force of this command loads one that does not fit, too."""
    path = resolve(name)
    if click.get_current_context().meta.get(FORCE):
        options["force"] = True
    from llama_gguf.cli._log import log_on_stderr
    from llama_gguf.model import Model

    with log_on_stderr():
        model = Model(path, **options)
    if options.get("n_ctx") and options["n_ctx"] > model.h.context:
        note(f"Warning: the model was made for a context of {model.h.context:,} tokens; beyond that it may get worse")
    return model


def options(*decorators):
    """Several click options as one decorator, in the order they are given."""

    def apply(function):
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def _kv_type(context, option, name):
    """The type's name in upper case; what caches are made of is asked for when somebody names a type."""
    if name is None:
        return None
    from llama_gguf.cache import checked

    try:
        return checked(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _keep_force(context, option, wanted):
    context.meta[FORCE] = wanted


default_model = click.argument("model", default="smollm2")
threads = click.option("-t", "--threads", type=click.IntRange(1, 1024), help="Default: all cores.")
kv_type = click.option(
    "--kv-type",
    metavar="TYPE",
    callback=_kv_type,
    help="What keys and values are kept in: F32, F16 (default), Q8_0 or Q4_0.",
)
force = click.option(
    "--force",
    is_flag=True,
    expose_value=False,
    callback=_keep_force,
    help="Load a model that does not fit into memory, too.",
)
context = click.option("-c", "--ctx", type=click.IntRange(1), help="Context size, default the model's.")
machine = options(
    threads,
    context,
    kv_type,
    force,
)
sampling = options(
    click.option(
        "--temperature", "--temp", default=0.0, type=click.FloatRange(0), show_default="0: greedy"
    ),
    click.option("--top-k", default=40, type=click.IntRange(0), show_default=True),
    click.option("--top-p", default=0.95, type=click.FloatRange(0, 1), show_default=True),
    click.option("--min-p", default=0.05, type=click.FloatRange(0, 1), show_default=True),
    click.option(
        "--repeat-penalty",
        default=1.0,
        type=click.FloatRange(0, min_open=True),
        show_default="1: none",
    ),
    click.option("-s", "--seed", type=click.IntRange(0, 2**64 - 1), help="Same seed, same text."),
    click.option("--stop", multiple=True, metavar="TEXT", help="End before TEXT; may be repeated."),
)
verbose = click.option("-v", "--verbose", is_flag=True, help="Timings on stderr.")


def read_prompt(prompt):
    """-p and stdin joined: `-p -` or no -p reads stdin, piped text follows a given -p."""
    if prompt == "-" or (prompt is None and not sys.stdin.isatty()):
        return _stdin_text()
    if prompt is None:
        raise click.UsageError("give a prompt with -p, or pipe text in (or use `llama-gguf chat`)")
    piped = _stdin_text() if _stdin_has_text() else ""
    return f"{prompt}\n{piped}" if piped else prompt


def _stdin_text():
    """All of stdin less one final newline, which is the shell's and not the text's."""
    text = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if any("\udc80" <= c <= "\udcff" for c in text):  # bytes that decoding could only carry along
        raise click.ClickException("stdin is not UTF-8 text; convert it first, for example with iconv")
    return text


def _stdin_has_text():
    """Whether stdin is a file or a pipe that holds something; a silent pipe is not waited for."""
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or a test's own stream
        return bool(sys.stdin) and not sys.stdin.isatty()
    if stat.S_ISREG(mode) or (sys.platform == "win32" and stat.S_ISFIFO(mode)):
        return True
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return False
    ready, _, _ = select.select([descriptor], [], [], STDIN_PATIENCE)
    if not ready:
        note("stdin is an open pipe with nothing in it; using -p alone (-p - waits for it)")
    return bool(ready)
