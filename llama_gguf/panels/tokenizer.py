"""Tokenizer: a text as its tokens, how the vocabulary came to them, and the prompt that a template makes."""

from llama_gguf.errors import LlamaGGUFError
from llama_gguf.panels import parts
from llama_gguf.panels.base import Panel

MOST = 20_000
"""Characters that are explained while somebody types."""


class TokenizerPanel(Panel):
    """`explanation` is the X-ray of the text (Tokenizer.explain), `preview` the prompt of it as a question."""

    title, kind = "Tokenizer", "tokenizer"

    def build(self, text="Hello world! Un café à 3,50 €."):
        self.explanation = self.preview = None
        self.text = parts.area("Text", "text", text, "The text to take apart; it is done as you type")
        self.bos = parts.check("Begin token", "bos", True, "With the first and last tokens that the file asks for")
        self.special = parts.check("Special tokens", "special", True, "Texts of special tokens stand for those tokens")
        self.chat = parts.check("As a chat", "chat", False, "Also show the prompt that the chat template makes of it")
        self.lookup = parts.text("Look up", "lookup", "", "A token id, or the text of a token")
        self.lookup.layout.width = "320px"
        self.view, self.prompt, self.found = map(parts.html, ("xray", "preview", "found"))
        self.view.add_class("lg-beside")
        for widget in (self.text, self.bos, self.special, self.chat):
            self.on(widget, self.refresh)
        self.on(self.lookup, self.look_up)
        self.refresh()
        return [
            self.text, parts.row(self.bos, self.special, self.chat, self.lookup), self.found, self.view, self.prompt,
        ]  # fmt: skip

    def refresh(self):
        """Take the text apart again."""
        text, tokenizer = self.text.value, self.model.tokenizer
        cut = len(text) > MOST
        self.explanation = tokenizer.explain(text[:MOST], bos=self.bos.value, special=self.special.value)
        self.view.value = str(self.explanation._repr_html_())
        n, size = len(self.explanation.tokens), len(text[:MOST].encode("utf-8", "surrogatepass"))
        told = f"{n:,} tokens, {size / n if n else 0:.1f} bytes each, out of {len(tokenizer):,}"
        self.say(f"{told}; only the first {MOST:,} characters" if cut else told, "note" if cut else "plain")
        self._refresh_prompt(text[:MOST])

    def _refresh_prompt(self, text):
        self.preview, self.prompt.value = None, ""
        if not self.chat.value:
            return
        try:
            self.preview = self.model.chat_template.preview([{"role": "user", "content": text}])
            self.prompt.value = str(self.preview._repr_html_())
        except LlamaGGUFError as error:
            self.fail(error)

    def look_up(self):
        """Say what a token is, by its id or by its text."""
        wanted, tokenizer = self.lookup.value, self.model.tokenizer
        if not wanted:
            self.found.value = ""
            return
        i = int(wanted) if wanted.isdecimal() else tokenizer.find(wanted)
        if i is None:
            self.found.value = f"No token is <code>{parts.escaped(wanted)}</code>."
            return
        piece, kind = bytes(tokenizer.piece(i)), tokenizer.kind(i)
        self.found.value = (
            f"Token {i} is <code>{parts.escaped(parts.visible(piece))}</code>, spelled "
            f"<code>{parts.escaped(tokenizer.text(i))}</code> in the file, bytes <code>{piece.hex(' ')}</code>, {kind}."
        )
