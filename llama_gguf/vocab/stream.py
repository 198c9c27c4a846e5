"""Text from tokens that arrive one by one."""

import codecs


class StreamDecoder:
    """`push(id)` gives the text that is complete by now, never half a character.

    Control tokens give no text unless `special=True`. `flush()` at the end turns what is left
    of a broken character into U+FFFD. Where the vocabulary puts a space in front of text that
    follows a special token, that space is taken away again; `after_special`: so it starts.
    """

    def __init__(self, tokenizer, special=False, after_special=False):
        self._tokenizer, self._special = tokenizer, special
        self._after_special = after_special
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, i):
        tok = self._tokenizer
        follows, self._after_special = self._after_special, tok.is_special(i)
        if not self._special and tok.is_control(i):
            return ""
        piece = tok.piece(i)
        if follows and tok.add_space_prefix and not self._after_special:
            piece = piece.removeprefix(b" ")
        return self._decoder.decode(piece)

    def flush(self):
        return self._decoder.decode(b"", final=True)
