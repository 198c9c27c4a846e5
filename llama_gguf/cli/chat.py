"""llama-gguf chat: a conversation in the terminal."""

import contextlib
import sys
import time

import click

from llama_gguf.cli import _model, one_line
from llama_gguf.cli._answer import Answer
from llama_gguf.cli._output import note, write
from llama_gguf.errors import ContextOverflow, LlamaGGUFError, TemplateError

HELP = '''\
/system TEXT     set the system prompt (none: remove it) and start anew
/clear           forget the conversation
/set NAME VALUE  change a setting, as temperature 0.7 (VALUE none: its default); alone: show all
/save FILE       write the conversation as JSON (/save --force FILE replaces one)
/load FILE       go on with a saved conversation and its settings
/help            this text
/quit            leave; Ctrl-D does too
"""              begins and ends a message of several lines
Ctrl-C           stops an answer'''


@click.command()
@_model.default_model
@click.option("-n", "--max-tokens", default=512, type=click.IntRange(1), show_default=True)
@_model.sampling
@_model.machine
@click.option("--system", metavar="TEXT", help="System prompt.")
@click.option("--load", metavar="FILE", help="Go on with a conversation that /save wrote.")
@_model.verbose
def chat(model, threads, ctx, kv_type, system, load, verbose, **settings):
    """Talk with a model; it remembers the conversation.

    MODEL defaults to smollm2. Lines piped in are messages or commands, one each; where a message
    gets no answer the exit code is 1. /help lists the commands: /clear, /system, /set, /save, /load, /quit. At each
    turn only what is new is read.

    \b
    Examples:
      llama-gguf chat
      llama-gguf chat user/repo --system "Answer in French." --temperature 0.7
      llama-gguf chat --load talk.json < questions.txt > answers.txt
    """
    if system and load:
        raise click.UsageError("a saved conversation has its own system prompt; leave --system or --load out")
    start = time.perf_counter()
    with _model.open_model(model, n_ctx=ctx, kv_type=kv_type, n_threads=threads) as m:
        load_seconds = time.perf_counter() - start
        talk = Talk(m.conversation(system, **settings), load_seconds if verbose else None)
        if load:
            talk.conversation.load(load)
        if sys.stdin.isatty():
            note(f"{model}: /help lists commands, /quit leaves")
            _line_editing()
        for message in messages():
            if not talk.command(message):
                break
        return 1 if talk.failed and not sys.stdin.isatty() else 0


class Talk:
    """A chat.Conversation, and what a line typed by the user does to it."""

    def __init__(self, conversation, load_seconds=None):
        self.conversation, self.load_seconds, self.failed = conversation, load_seconds, False
        self.commands = {"/clear": self.clear, "/system": self.system, "/set": self.set, "/save": self.save,
                         "/load": self.load, "/help": self.help, "/?": self.help}

    def command(self, line):
        """Do what `line` says; False ends the program."""
        word, _, rest = line.strip().partition(" ")
        if word in ("/quit", "/exit", "/bye"):
            return False
        if word in self.commands:
            self.commands[word](rest.strip())
        elif word.startswith("/") and "\n" not in line and "/" not in word[1:]:
            note(f"no command {word}; /help lists them")
        elif word:
            self.say(line)
        return True

    def help(self, _):
        note(HELP)

    def clear(self, _):
        self.conversation.clear()

    def system(self, text):
        self.conversation.start(text or None)

    def set(self, text):
        name, _, value = text.partition(" ")
        value = value.strip() or "none"
        if name:
            with told(f"{name} is now {'its default' if value == 'none' else value}"):
                self.conversation.set(name, value)
        else:
            note("\n".join(f"{k} {v}" for k, v in self.conversation.settings.items()))

    def save(self, text):
        path = text.removeprefix("--force ").strip()
        with told(f"saved as {path}"):
            self.conversation.save(needed(path), force=text.startswith("--force "))

    def load(self, path):
        with told(f"going on with {path}"):
            self.conversation.load(needed(path))

    def say(self, text):
        """Send `text` and stream the answer; a message that failed is not remembered."""
        answer = Answer()
        try:
            answer.follow(self.conversation.ask(text), write)
        except (ContextOverflow, TemplateError) as error:
            self.failed = True
            note(f"Error: {one_line(error)} (/clear starts anew)")
            return
        write("\n")
        if self.load_seconds is not None:
            answer.report(self.load_seconds)


@contextlib.contextmanager
def told(done):
    """What was done, or one line about why not: a slip of the user's must not end a conversation."""
    try:
        yield
    except (OSError, ValueError) as error:
        plain = not isinstance(error, (OSError, LlamaGGUFError))
        note(f"Error: {error if plain else one_line(error)}")
    else:
        note(done)


def needed(path):
    if not path:
        raise ValueError("a file name is missing")
    quoted = len(path) > 2 and path[0] == path[-1] in ("'", '"')
    return path[1:-1] if quoted else path


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
