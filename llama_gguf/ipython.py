"""IPython's %gguf and %%gguf: open a model, continue a cell's text, or talk.

    %load_ext llama_gguf
    %gguf smollm2                 # a name, a path, or a variable that holds a Model; -> m = _

    %%gguf -n 32                  # continues the text of the cell
    The capital of France is

    %%gguf --chat --into answer   # the next turn of a conversation; --new begins another
    Why is the sky blue?
"""

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from .chat import Conversation
from .errors import LlamaGGUFError
from .model import Model

DEFAULT = "smollm2"


@magics_class
class GGUFMagics(Magics):
    """One model and one conversation, until others are asked for."""

    def __init__(self, shell):
        super().__init__(shell)
        self.named, self.model, self.talk = None, None, None

    @magic_arguments()
    @argument("model", nargs="?", help="name, path, or a variable that holds a Model; else the one before")
    @argument("-n", "--max-tokens", type=int, default=128)
    @argument("-t", "--temperature", type=float, default=0.0)
    @argument("--top-k", type=int, default=40)
    @argument("--top-p", type=float, default=0.95)
    @argument("--min-p", type=float, default=0.05)
    @argument("--repeat-penalty", type=float, default=1.0)
    @argument("--seed", type=int)
    @argument("--chat", action="store_true", help="the cell is a question, the next one of a conversation")
    @argument("--new", action="store_true", help="begin another conversation")
    @argument("--system", help="the system prompt of a new conversation")
    @argument("--into", metavar="NAME", help="a variable for the answer's text")
    @line_cell_magic
    def gguf(self, line, cell=None):
        """Open a model (%gguf), or continue or answer the text of a cell (%%gguf)."""
        args = parse_argstring(self.gguf, line)
        try:
            model = self.open(args.model)
            if cell is None:
                return model
            text = self.answer(model, args, cell.strip("\n"))
        except LlamaGGUFError as error:
            raise UsageError(str(error)) from error
        if args.into:
            self.shell.user_ns[args.into] = text
        return None

    def open(self, name):
        """The model of a name, or the one before."""
        if name is None and self.model is not None and self.model.graph is not None:
            return self.model
        name = name or self.named or DEFAULT
        there = self.shell.user_ns.get(name)
        model = there if isinstance(there, Model) else None
        if model is None and (name != self.named or self.model is None or self.model.graph is None):
            model = Model.from_pretrained(name)
        if model is not None and model is not self.model:
            self.model, self.talk = model, None  # the one before may have another name by now: it is not closed
        self.named = name
        return self.model

    def answer(self, model, args, text):
        """Print the answer as it is made, and give it. An interrupt keeps what there is."""
        names = ("max_tokens", "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed")
        settings = {name: getattr(args, name) for name in names}
        shown = []
        try:
            for chunk in self.chunks(model, args, settings, text):
                shown.append(chunk.text)
                print(chunk.text, end="", flush=True)
        except KeyboardInterrupt:
            shown.append(" ...")
            print(" ...", end="")
        print()
        return "".join(shown)

    def chunks(self, model, args, settings, text):
        if not (args.chat or args.system or args.new):
            return model.stream(text, **settings)
        if self.talk is None or args.new or args.system:
            self.talk = Conversation(model, args.system)
        self.talk.settings = settings
        return self.talk.ask(text)
