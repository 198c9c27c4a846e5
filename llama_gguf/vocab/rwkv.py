"""RWKV World: `tokenizer.ggml.model` = rwkv. Always the longest token that fits."""

import struct

ESCAPES = {ord("t"): 9, ord("n"): 10, ord("r"): 13}


class LongestTokens:
    """The file escapes bytes (\\t, \\n, \\r, \\xHH); matching is on the bytes themselves."""

    add_bos = add_eos = add_space_prefix = False

    def __init__(self, metadata, texts, special, name):
        from llama_gguf.engine.match import Beginnings
        from llama_gguf.engine.texts import Texts

        self.raw = [unescaped(texts[i]) for i in range(len(texts))]
        packed = b"".join(struct.pack("<Q", len(text)) + text for text in self.raw)
        self.texts, self.unk = Texts(packed, len(self.raw)), special.ids["unk"]
        self.beginnings = Beginnings(self.texts)

    def frame(self, tokenizer):
        return [], []

    def encode(self, text, after_special):
        from llama_gguf.engine.match import greedy

        data = text.encode("utf-8", "surrogatepass")
        unknown = -1 if self.unk is None else self.unk
        return greedy(self.texts, self.beginnings, data, unknown)

    def piece(self, i):
        return self.raw[i]


def unescaped(text):
    """Bytes of a token as the file writes it; a broken \\x at the end is dropped."""
    if b"\\" not in text:
        return text
    out, i = bytearray(), 0
    while i < len(text):
        byte = text[i]
        i += 1
        if byte == 0x5C and i < len(text):
            byte = text[i]
            i += 1
            if byte == ord("x"):
                digits, i = text[i : i + 2], i + 2
                if len(digits) == 2:
                    out.append(hexadecimal(digits))
                continue
            byte = ESCAPES.get(byte, byte)
        elif byte == 0x5C:
            break
        out.append(byte)
    return bytes(out)


def hexadecimal(digits):
    """Value of two hexadecimal digits, 0 for what is none."""
    try:
        return int(digits, 16)
    except ValueError:
        return 0
