"""What the bytes of a block are for: type -> parts (name, how many bytes, how to read them), in the file's order.

A letter tells what a part holds: d a scale, m a minimum, s scales or minimums of groups, q codes, h further bits of
codes, p points of a codebook, x signs, and n what values do not depend on. Layouts as in `ggml-common.h` of llama.cpp
b11434.
"""

from typing import NamedTuple


class Part(NamedTuple):
    name: str
    bytes: int
    holds: str  # a letter, see above
    reads: str


D = Part("d", 2, "d", "the scale, a half-precision number")
DD = Part("d", 2, "d", "the scale of the scales, a half-precision number")
DMIN = Part("dmin", 2, "m", "the scale of the minimums, a half-precision number")
M = Part("m", 2, "m", "the minimum, a half-precision number")


def codes(n_bytes, reads):
    return Part("codes", n_bytes, "q", reads)


NIBBLES = "byte j: code j in the lower 4 bits, code j + 16 in the upper 4"
PAIRS = "32 bytes for two groups: the first group's codes in the lower 4 bits, the second's in the upper 4"
QUARTERS = "32 bytes for 128 values: of byte j, two bits each for values j, j + 32, j + 64, j + 96, lowest first"
SIXES = "eight scales and eight minimums of 6 bits; of the last four, 4 bits stand apart from the upper 2"
IN_ORDER = "signed bytes, one for each value"

PARTS = {
    "Q1_0": (D, codes(16, "one bit for each value, lowest first: 0 is -1, 1 is 1")),
    "Q2_0": (D, codes(16, "two bits for each value, lowest first: code - 1")),
    "Q4_0": (D, codes(16, NIBBLES + "; 8 is taken off")),
    "Q4_1": (D, M, codes(16, NIBBLES)),
    "Q5_0": (D, Part("high", 4, "h", "the fifth bit of each code"), codes(16, NIBBLES + "; 16 is taken off")),
    "Q5_1": (D, M, Part("high", 4, "h", "the fifth bit of each code"), codes(16, NIBBLES)),
    "Q8_0": (D, codes(32, IN_ORDER)),
    "Q8_1": (D, Part("sum", 2, "n", "scale times the sum of the codes, kept for products"), codes(32, IN_ORDER)),
    "Q2_K": (
        Part("scales", 16, "s", "of each group of 16: its scale in the lower 4 bits, its minimum in the upper 4"),
        codes(64, QUARTERS), DD, DMIN,
    ),
    "Q3_K": (
        Part("high", 32, "h", "the third bit of the codes: of byte j, bit k belongs to value j + 32 k"),
        codes(64, QUARTERS + "; 4 is taken off"),
        Part("scales", 12, "s", "sixteen scales of 6 bits less 32: 8 bytes of lower halves, 4 of upper pairs"), DD,
    ),
    "Q4_K": (DD, DMIN, Part("scales", 12, "s", SIXES), codes(128, PAIRS)),
    "Q5_K": (
        DD, DMIN, Part("scales", 12, "s", SIXES),
        Part("high", 32, "h", "the fifth bit of the codes: of byte j, bit k belongs to value j of group k"),
        codes(128, PAIRS),
    ),
    "Q6_K": (
        codes(128, "64 bytes for 128 values: the lower 4 bits of values j and j + 64"),
        Part("high", 64, "h", "the upper 2 bits of the codes, four values to a byte; 32 is taken off"),
        Part("scales", 16, "s", "a signed byte for each group of 16"), DD,
    ),
    "Q8_K": (
        Part("d", 4, "d", "the scale, a single-precision number"), codes(256, IN_ORDER),
        Part("sums", 32, "n", "sums of 16 codes, kept for products"),
    ),
    "IQ1_S": (
        DD, Part("points", 32, "p", "the lower 8 bits of the index of a point, one for each 8 values"),
        Part("high", 16, "s", "for each 32 values a word: 3 upper bits of four indices, 3 bits of scale, 1 of shift"),
    ),
    "IQ1_M": (
        Part("points", 32, "p", "the lower 8 bits of the index of a point, one for each 8 values"),
        Part("high", 16, "h", "for each 8 values 4 bits: 3 upper bits of the index, 1 of shift"),
        Part("scales", 8, "s", "four words: four scales of 3 bits, and 4 of the 16 bits of the scale of scales"),
    ),
    "IQ2_XXS": (
        DD,
        Part("points", 64, "p", "for each 32 values: four indices of 8 bits, then four times 7 signs, 4 bits of scale"),
    ),
    "IQ2_XS": (
        DD, Part("points", 64, "p", "for each 8 values a word: 9 bits of index, 7 signs; the eighth makes them even"),
        Part("scales", 8, "s", "4 bits for each 16 values"),
    ),
    "IQ2_S": (
        DD, Part("points", 32, "p", "the lower 8 bits of the index of a point, one for each 8 values"),
        Part("signs", 32, "x", "a bit for each value: 1 is negative"),
        Part("high", 8, "h", "the upper 2 bits of the indices"), Part("scales", 8, "s", "4 bits for each 16 values"),
    ),
    "IQ3_XXS": (
        DD, Part("points", 64, "p", "the index of a point, one for each 4 values"),
        Part("signs", 32, "x", "for each 32 values a word: four times 7 signs, 4 bits of scale"),
    ),
    "IQ3_S": (
        DD, Part("points", 64, "p", "the lower 8 bits of the index of a point, one for each 4 values"),
        Part("high", 8, "h", "the ninth bit of the indices"),
        Part("signs", 32, "x", "a bit for each value: 1 is negative"),
        Part("scales", 4, "s", "4 bits for each 32 values"),
    ),
    "IQ4_NL": (D, codes(16, NIBBLES + "; each names one of 16 points")),
    "IQ4_XS": (
        DD, Part("high", 2, "s", "the upper 2 bits of the eight scales"),
        Part("scales", 4, "s", "the lower 4 bits of the eight scales; 32 is taken off"),
        codes(128, "16 bytes for each group of 32: " + NIBBLES + "; each names one of 16 points"),
    ),
    "TQ1_0": (codes(52, "48 bytes with five codes, 4 with four: digits of base 3 of a fraction of 256, less 1"), D),
    "TQ2_0": (codes(64, QUARTERS + "; 1 is taken off"), D),
    "MXFP4": (
        Part("e", 1, "d", "the scale, a power of two: its exponent plus 127; codes below count halves"),
        codes(16, NIBBLES + "; each a number of 4 bits: sign, two of exponent, one of mantissa"),
    ),
    "NVFP4": (
        Part("scales", 4, "s", "a scale for each 16 values: four bits of exponent, three of mantissa"),
        codes(32, "8 bytes for each group of 16: value j in the lower 4 bits, j + 8 in the upper 4"),
    ),
}
