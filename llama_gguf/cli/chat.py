"""llama-gguf chat: a conversation in the terminal."""

import contextlib
import sys
import time

import click

from llama_gguf.cli import _model
from llama_gguf.cli._answer import Answer
from llama_gguf.cli._output import note, write
from llama_gguf.errors import ContextOverflow, TemplateError

HELP = '''\
/system TEXT   set the system prompt (none: remove it) and start anew
/clear         forget the conversation
/help          this text
/quit          leave; Ctrl-D does too
"""            begins and ends a message of several lines
Ctrl-C         stops an answer'''


@click.command()
@_model.default_model
@click.option("-n", "--max-tokens", default=512, type=click.IntRange(1), show_default=True)
@_model.sampling
@_model.machine
@click.option("--system", metavar="TEXT", help="System prompt.")
@_model.verbose
def chat(model, threads, ctx, kv_type, system, verbose, **settings):
    """Talk with a model; it remembers the conversation.

    MODEL defaults to smollm2. Lines piped in are messages, one each. /help lists the commands.

    \b
    Examples:
      llama-gguf chat
      llama-gguf chat user/repo --system "Answer in French." --temperature 0.7
    """
    start = time.perf_counter()
    with _model.open_model(model, n_ctx=ctx, kv_type=kv_type, n_threads=threads) as m:
        load_seconds = time.perf_counter() - start
        talk = Conversation(m, settings, system, load_seconds if verbose else None)
        if sys.stdin.isatty():
            note(f"{model}: /help lists commands, /quit leaves")
            _line_editing()
        for message in messages():
            if not talk.command(message):
                break


class Conversation:
    """The history, and what a line typed by the user does to it."""

    def __init__(self, model, settings, system=None, load_seconds=None):
        self.model, self.settings, self.load_seconds = model, settings, load_seconds
        self.start(system)

    def start(self, system):
        self.system = system
        self.history = [{"role": "system", "content": system}] if system else []

    def command(self, line):
        """Do what `line` says; False ends the program."""
        word, _, rest = line.strip().partition(" ")
        if word in ("/quit", "/exit", "/bye"):
            return False
        if word == "/clear":
            self.start(self.system)
        elif word == "/system":
            self.start(rest.strip() or None)
        elif word in ("/help", "/?"):
            note(HELP)
        elif word.startswith("/") and "\n" not in line and "/" not in word[1:]:
            note(f"no command {word}; /help lists them")
        elif word:
            self.say(line)
        return True

    def say(self, text):
        """Send `text` and stream the answer; a message that failed is not remembered."""
        self.history.append({"role": "user", "content": text})
        answer = Answer()
        try:
            answer.follow(self.model.stream_chat(self.history, **self.settings), write)
        except (ContextOverflow, TemplateError) as error:
            self.history.pop()
            note(f"Error: {error} (/clear starts anew)")
            return
        write("\n")
        self.history.append({"role": "assistant", "content": answer.text})
        if self.load_seconds is not None:
            answer.report(self.load_seconds)


def messages():
    """What the user types or pipes in, message by message, until the end of input."""
    at_prompt = 0
    while True:
        try:
            line = _read(">>> ")
            if line.lstrip().startswith('"""'):
                line = _several_lines(line.lstrip()[3:])
            at_prompt = 0
        except EOFError:
            return
        except KeyboardInterrupt:
            at_prompt += 1
            if at_prompt == 2 or not sys.stdin.isatty():
                raise
            note("\n/quit or Ctrl-D leaves (Ctrl-C again, too)")
            continue
        yield line


def _several_lines(line):
    lines = []
    while not line.rstrip().endswith('"""'):
        lines.append(line)
        line = _read("... ")
    return "\n".join([*lines, line.rstrip()[:-3]]).strip("\n")


def _read(prompt):
    """A line without its end; the prompt is shown to people only."""
    if sys.stdin.isatty():
        if sys.stdout.isatty():
            return input(prompt)
        print(prompt, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\r\n")


def _line_editing():
    """Importing readline gives input() its editing and history; Windows lacks it."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
