"""A conversation as the model will read it, special tokens marked; and what is odd about a template.

    m.chat_template.preview([{"role": "user", "content": "Hi"}])
    m.chat_template.lint()
"""

import html
import re

from llama_gguf.errors import TemplateError
from llama_gguf.vocab.chat import prompt_ids
from llama_gguf.vocab.explain import Token

MARK = re.compile(r"<[|｜]?/?[A-Za-z_][^<>\s]{0,40}>|\[/?[A-Z][A-Z_]+\]")
"""What looks like a special token."""

SPECIAL = "background:#0b5cad;color:#ffffff;border-radius:3px;padding:1px 3px;margin:0 1px"
PLAIN = "border-bottom:1px solid rgba(128,128,128,.6);margin-right:1px"
BOX = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;line-height:1.9;white-space:pre-wrap"
USER, ANSWER = {"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": "ANSWER"}


class Preview:
    """The prompt of some messages: `text`, `ids`, `tokens`. print() brackets special tokens, notebooks colour them."""

    def __init__(self, template, messages, options):
        tokenizer = template.tokenizer
        self.text = template.render(messages, **options)
        self.ids = prompt_ids(tokenizer, self.text)
        self.tokens = [Token.of(tokenizer, i) for i in self.ids]
        self.special = [tokenizer.is_special(i) for i in self.ids]
        self.source = template.source

    def __repr__(self):
        return f"<Preview of {len(self.tokens)} tokens, {sum(self.special)} of them special>"

    def __str__(self):
        pieces = (b"\xe2\x9f\xa6%s\xe2\x9f\xa7" % t.bytes if special else t.bytes
                  for t, special in zip(self.tokens, self.special, strict=True))
        return b"".join(pieces).decode("utf-8", "replace")

    def _repr_html_(self):
        spans = (f'<span title="id {t.id}  {t.kind}" style="{SPECIAL if special else PLAIN}">{visible(t.bytes)}</span>'
                 for t, special in zip(self.tokens, self.special, strict=True))
        head = f"{len(self.tokens):,} tokens by the template from {html.escape(self.source)}; special ones are blue"
        return f'<div><div style="font-weight:600">{head}</div><div style="{BOX}">{"".join(spans)}</div></div>'


def visible(piece):
    """Escaped text; line ends are signs, too, and control characters are pictures of themselves."""
    shown = piece.decode("utf-8", "replace").translate({c: 0x2400 + c for c in range(32) if c not in (9, 10)})
    return html.escape(shown).replace("\n", "↵\n")


def lint(template):
    """What is odd about a template and its vocabulary together: sentences, none if all is well."""
    try:
        prompt = template.render([USER])
        whole = template.render([USER, ANSWER], add_generation_prompt=False)
    except TemplateError as error:
        return [str(error)]
    return [*begin(template, prompt), *turns(template, prompt), *marks(template, whole), *end(template, whole)]


def begin(template, prompt):
    """The first token: missing, there, or there twice."""
    first, _ = template.tokenizer.frame()
    ids = template.tokenizer.encode(prompt, bos=False)
    bos = template.tokenizer.bos
    if bos is not None and ids[:2] == [bos, bos]:
        yield f"the template writes {template.tokenizer.text(bos)} twice"
    elif first and ids[:1] == first:
        yield (f"both the template and add_bos_token begin with {template.tokenizer.text(first[0])}: "
               "it is read once here, but some programs read it twice")


def turns(template, prompt):
    """Do the generation prompt and the system prompt matter?"""
    if template.render([USER], add_generation_prompt=False) == prompt:
        yield "add_generation_prompt changes nothing: the model may go on as the user"
    if "QUESTION" not in prompt:
        yield "the user's message is not in the prompt"
    try:
        if "SYSTEM" not in template.render([{"role": "system", "content": "SYSTEM"}, USER]):
            yield "a system prompt is left out"
    except TemplateError as error:
        yield f"a system prompt is refused ({error})"


def marks(template, text):
    """Markers that this vocabulary does not have as special tokens."""
    tok = template.tokenizer
    for mark in dict.fromkeys(MARK.findall(text)):
        i = tok.find(mark)
        if i is None:
            n = len(tok.encode(mark, bos=False))
            yield f"{mark} looks like a special token, but is none of this vocabulary: it is read as {n} tokens"
        elif not tok.is_special(i):
            yield f"{mark} is a token, but of the kind {tok.kind(i)}: it is found only by chance"


def end(template, text):
    """Does what follows an answer end a generation?"""
    tok, (_, _, after) = template.tokenizer, text.rpartition("ANSWER")
    ids = [i for i in tok.encode(after, bos=False) if tok.is_special(i)]
    if not ids:
        yield "no special token follows an answer: generation may not end"
    elif ids[0] not in tok.eog:
        yield f"an answer ends with {tok.text(ids[0])}, which does not end a generation"
