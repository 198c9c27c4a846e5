r"""How each `tokenizer.ggml.pre` cuts a text into words before byte pairs are merged: a table.

Source: src/llama-vocab.cpp and src/unicode.cpp of llama.cpp b11434, whose results these
patterns reproduce, deviations from the original tokenizers included. The steps of a row run one
after another, each inside the pieces that the step before it left; what a pattern does not match
stays a piece of its own.

\p{L}, \p{N}, \p{P}, \p{S}, \p{M} are Unicode categories; \p{Han} is a Chinese letter, \p{Hun} an
unassigned place among those. \s and \d are as in ECMAScript's C locale: other white space is
seen as \v. A step that starts with ":" is a function of `words.py`, for what is no regex.
"""

from dataclasses import dataclass

ENDING = r"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"
GAPS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
OTHER = r" ?[^\s\p{L}\p{N}]+"
WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
ASCII_MARK = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
PREFIX = r"[^\r\n\p{L}\p{N}]?"
CAMEL = (rf"{PREFIX}[\p{{Upper}}]*[\p{{Lower}}]+|{PREFIX}[\p{{Upper}}]+[\p{{Lower}}]*")
CAMEL_ENDING = (rf"{PREFIX}[\p{{Upper}}]*[\p{{Lower}}]+(?:{ENDING})?"
                rf"|{PREFIX}[\p{{Upper}}]+[\p{{Lower}}]*(?:{ENDING})?")
ANY_CASE = rf"{PREFIX}[\p{{L}}\p{{M}}]+(?:{ENDING})?"
CODE = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"

GPT2 = (r"'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
LLAMA3 = rf"{ENDING}|{WORD}|\p{{N}}{{1,3}}|{OTHER}[\r\n]*|{GAPS}"
QWEN2 = rf"{ENDING}|{WORD}|\p{{N}}|{OTHER}[\r\n]*|{GAPS}"
QWEN35 = (rf"{ENDING}|{PREFIX}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*"
          rf"|{GAPS}")
LINES = r"[^\n]+|\n+"
CJK = "[一-龥぀-ゟ゠-ヿ]+"
MARKED = (rf"{ASCII_MARK}|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+"
          rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{GAPS}")
DEEPSEEK3 = (r"\p{N}{1,3}", CJK, MARKED)
BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"
LATIN = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af"
    "\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1"
    "\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5"
    "\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a"
    "\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d"
    "\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3"
    "\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115"
    "\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149"
    "\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d"
    "\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06"
    "\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"
    "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df"
    "\U0001e900-\U0001e943"
)


@dataclass(frozen=True, slots=True)
class Pre:
    """One way to cut, with what llama.cpp switches on along with it.

    `byte_level`: the vocabulary spells bytes in GPT-2's alphabet, else it holds plain UTF-8.
    `ignore_merges`: a word that is a token is that token. `escape_spaces`: " " is written "▁".
    `no_bos`: there is no default BOS id.
    """

    steps: tuple
    byte_level: bool = True
    ignore_merges: bool = False
    add_bos: bool = False
    add_sep: bool = False
    escape_spaces: bool = False
    no_bos: bool = False


PLAIN_GPT2 = Pre((GPT2,))
DIGITS_GPT2 = Pre((r"\p{N}", GPT2))
UTF8_LINES = Pre((LINES,), byte_level=False, escape_spaces=True)

DEFAULT = Pre((r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"))

_ROWS = (
    ("default", DEFAULT),
    ("llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     Pre((LLAMA3,), ignore_merges=True, add_bos=True)),
    ("dbrx smaug-bpe", Pre((LLAMA3,))),
    ("chatglm-bpe", Pre((LLAMA3,), no_bos=True)),
    ("glm4 glm5", Pre((LLAMA3,), no_bos=True, ignore_merges=True)),
    ("jais-2", Pre((rf"{ENDING}|{WORD}|\p{{N}}{{1,3}}|{OTHER}[\r\n]*|\s*[\r\n]+|\s{{512}}(?!\S)"
                    r"|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)"
                    r"|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}",))),
    ("minicpm5", Pre((r"\p{N}{1,3}", rf"{ENDING}|{WORD}|\p{{N}}+|{OTHER}[\r\n]*|{GAPS}"),
                     ignore_merges=True)),
    ("deepseek-llm", Pre((r"[\r\n]", rf"\s?[{LATIN}]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
                          r"\s+\Z", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}+"))),
    ("deepseek-coder", Pre((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+",
                            r"\p{N}"))),
    ("deepseek-v3 hunyuan-dense joyai-llm hy_v4", Pre(DEEPSEEK3)),
    ("spark2_5", Pre((r"\p{N}{1,3}", CJK,
                      rf"{ASCII_MARK}|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+"
                      r"| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+", r"\p{N}"))),
    ("youtu", Pre(("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
                   rf"{ANY_CASE}|\p{{N}}|{CODE}|{GAPS}"), ignore_merges=True)),
    ("falcon", Pre((r"[\p{P}$+<=>^~|`]+", GPT2, r"[0-9][0-9][0-9]"))),
    ("starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", DIGITS_GPT2),
    ("gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert mpt"
     " olmo jais trillion granite-docling exaone4", PLAIN_GPT2),
    ("jina-v1-en jina-v2-code roberta-bpe", Pre((GPT2,), add_sep=True)),
    ("qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2",
     Pre((QWEN2,))),
    ("qwen35", Pre((QWEN35,))),
    ("ufakzeka", Pre((rf"{WORD}|\p{{N}}|{OTHER}[\r\n]*|{GAPS}",))),
    ("laguna", Pre((LINES, QWEN2))),
    ("seed-coder", Pre((rf"{ENDING}|{WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{GAPS}",))),
    ("bailingmoe bailingmoe2 llada-moe",
     Pre((rf"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|{WORD}|\p{{N}}|{OTHER}[\r\n]*"
          r"|\s*[\r\n]|\s+(?!\S)|\s+",))),
    ("exaone-moe",
     Pre((rf"{ENDING}|{PREFIX}(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",))),
    ("poro-chat bloom gpt3-finnish", Pre((BLOOM,))),
    ("viking", Pre((BLOOM, r"\p{N}"))),
    ("tekken", Pre((rf"{CAMEL}|\p{{N}}|{CODE}|{GAPS}",), ignore_merges=True, add_bos=True)),
    ("gpt-4o llama4 kanana2 talkie minimax-m2",
     Pre((rf"{CAMEL_ENDING}|\p{{N}}{{1,3}}|{CODE}|{GAPS}",))),
    ("granite-embed-multi-97m",
     Pre((rf"{CAMEL_ENDING}|\p{{N}}{{1,3}}|{CODE}|{GAPS}".replace("Upper}", "UpperM}")
          .replace("Lower}", "LowerM}"),), ignore_merges=True)),
    ("tiny_aya cohere2moe", Pre((":thousands", rf"{ANY_CASE}|\p{{N}}{{1,3}}|{CODE}|{GAPS}"))),
    ("superbpe", Pre((r"\p{N}+", ":threes"))),
    ("kimi-k2",
     Pre((rf"[\p{{Han}}\p{{Hun}}]+|[^\r\n\p{{L}}\p{{N}}\p{{Han}}\p{{Hun}}]?\p{{L}}+(?:{ENDING})?"
          rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}\p{{Han}}]+[\r\n]*|{GAPS}",))),
    ("afmoe", Pre((":thousands", "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+",
                   MARKED))),
    ("chameleon", Pre((r"<sentinel:[0-9]+>", r"IMGIMG[A-I]{1,4}Z", r"[\t\n]|    |  ", r"\p{N}",
                       r"[\p{P}!-/:-@\[-`{-~]", GPT2), add_bos=True)),
    ("gemma4 granite-embed-multi-311m", UTF8_LINES),
    ("mmbert", UTF8_LINES),
    ("sarvam-moe", UTF8_LINES),
    ("whitespace", Pre((r"\S+",), byte_level=False)),
)

BY_NAME = {name: pre for names, pre in _ROWS for name in names.split()}
"""Every `tokenizer.ggml.pre` of byte pair vocabularies that llama.cpp b11434 knows."""
