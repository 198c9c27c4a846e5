"""What is known of model families when it comes to files, conversion and quantizing.

To add to it, write one entry: a Family with the architectures it goes by (`general.architecture`) and its Traits. The
page docs/families.md is made from this list by `python -m llama_gguf.checks.page > docs/families.md`.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Trait:
    """One fact; `handled`: what this package does about it. A check names it for files that have a tensor in whose name
    `pattern` is found; without a pattern it stands on the page only, and a check of its own looks at each file.
    """

    id: str
    text: str
    pattern: str = ""
    workaround: str = ""
    handled: str = ""

    def found_in(self, tensors):
        return tuple(n for n in tensors if re.search(self.pattern, n)) if self.pattern else ()


@dataclass(frozen=True)
class Family:
    title: str
    archs: tuple
    traits: tuple


def tied(sizes):
    return Trait("tied", f"{sizes} use the table of tokens as output matrix", "",
                 "importance for the table needs a collector that watches the output (llama-imatrix --process-output)",
                 "collected; the table gets the output's type")


def widths(text):
    return Trait("widths", f"{text}, no multiple of 256", "",
                 "K and IQ types fall back to types with blocks of 32: expect larger files",
                 "the nearest type that fits is taken, and the plan says so")


LARGE_TABLE = Trait("large-table", "the table of tokens is a large part of the weights (256 thousand tokens)",
                    r"^token_embd\.weight$", "its type decides the file's size: try --token-embedding-type",
                    "the target-size search weighs it like any other matrix")
FUSED = Trait("fused", "one matrix makes queries, keys and values", r"attn_qkv\.weight$",
              handled="mixtures give it the bits of attn_v, as llama-quantize does")
ROUTER = Trait("experts", "experts that few tokens reach have little or no importance data", r"_exps\.weight$",
               "collect over more and more varied text", "experts without data get the mean of the others")
MTP = Trait("prediction", "blocks behind the layers predict several tokens at once; they do not run here",
            r"\.nextn\.", handled="quantized like the others, skipped when running")
SMALL_STATES = Trait("states", "convolutions are small and stay as they are", r"ssm_conv1d|shortconv\.conv",
                     handled="never quantized")
LATENT = Trait("latent", "attn_k_b has rows of 128: K and IQ types do not fit", r"attn_k_b\.weight$",
               "", "falls back, or choose with --tensor-type attn_k_b=Q8_0")

PER_LAYER = Trait("per-layer", "each token has numbers for every layer, in a table that is the largest tensor",
                  r"^per_layer_token_embd\.weight$", "its type decides the file's size: try --tensor-type",
                  "a row is read where it lies in the file; the table takes no memory of its own")

FAMILIES = (
    Family("Llama, TinyLlama, SmolLM, Yi, Mistral and others of their shape", ("llama",), (
        tied("Llama 3.2 of 1B and 3B, SmolLM and SmolLM2"), widths("SmolLM 135M and 360M have rows of 576 and 960"),
        Trait("rope-factors", "rope_freqs.weight holds factors of rotation, not weights", r"^rope_freqs\.weight$",
              handled="kept as it is"), ROUTER)),
    Family("Mistral 3", ("mistral3",), ()),
    Family("Qwen 2 and 2.5", ("qwen2",), (
        tied("0.5B, 1.5B and 3B"), widths("0.5B has rows of 896"),
        Trait("biases", "queries, keys and values have biases", r"attn_[qkv]\.bias$", handled="kept in F32"))),
    Family("Qwen 3", ("qwen3",), (tied("0.6B, 1.7B and 4B"),)),
    Family("Qwen 2 and 3 with experts", ("qwen2moe", "qwen3moe"), (ROUTER,)),
    Family("Qwen 3.5", ("qwen35", "qwen35moe"), (ROUTER, MTP, SMALL_STATES, FUSED)),
    Family("Gemma", ("gemma", "gemma2", "gemma3"), (
        tied("all sizes"), LARGE_TABLE, widths("Gemma 3 270M and 1B have rows of 640 and 1152"))),
    Family("Gemma 3n and 4", ("gemma3n", "gemma4"), (
        tied("all sizes"), ROUTER, PER_LAYER,
        Trait("altup", "matrices of the streams are small and stay as they are", r"altup|laurel",
              handled="never quantized"))),
    Family("GPT-2, StarCoder", ("gpt2", "starcoder"), (
        tied("all sizes"), widths("GPT-2 XL has rows of 1600"), FUSED,
        Trait("positions", "a table of positions is added to the tokens'", r"^position_embd\.weight$",
              handled="never quantized"))),
    Family("Falcon", ("falcon",), (
        tied("7B"), widths("7B has rows of 4544"), FUSED,
        Trait("own-mixture", "Q3_K_M to Q4_K_M have rules of their own, and the output is Q8_0", r"attn_qkv\.weight$",
              handled="as llama-quantize"))),
    Family("Phi 2, 3 and 4", ("phi2", "phi3"), (FUSED,)),
    Family("gpt-oss", ("gpt-oss",), (
        widths("all rows of 2880"), ROUTER,
        Trait("native-fp4", "experts were trained in MXFP4; quantizing them to another type loses without saving",
              r"_exps\.weight$", "use MXFP4_MOE, or COPY", "refused without --allow-requantize"))),
    Family("DeepSeek 2 and 3", ("deepseek2",), (LATENT, ROUTER, MTP)),
    Family("GLM 4 with experts", ("glm4moe",), (widths("experts of the Air have rows of 1408"), ROUTER, MTP)),
    Family("Mamba, Falcon Mamba", ("mamba", "mamba2"), (tied("most sizes"), SMALL_STATES)),
    Family("Jamba, Granite 4, Falcon H1, Nemotron H", ("jamba", "granitehybrid", "falcon-h1", "nemotron_h",
                                                       "nemotron_h_moe"), (
        SMALL_STATES, ROUTER, widths("Nemotron 3 Nano has rows of 2688"))),
    Family("LFM 2", ("lfm2",), (tied("all sizes"), SMALL_STATES)),
    Family("Granite", ("granite", "granitemoe"), (tied("most sizes"), ROUTER)),
    Family("Command R, Cohere 2", ("command-r", "cohere2"), (tied("all sizes"), LARGE_TABLE)),
    Family("SmolLM 3", ("smollm3",), (tied("3B"),)),
    Family("MiniCPM", ("minicpm",), (tied("all sizes"), widths("2B has rows of 2304 and 5760"))),
    Family("StarCoder 2", ("starcoder2",), (tied("3B and 7B"),)),
    Family("BLOOM", ("bloom",), (tied("all sizes"), LARGE_TABLE, FUSED)),
    Family("BERT and other encoders", ("bert", "nomic-bert", "jina-bert-v2", "modern-bert", "gemma-embedding"), (
        Trait("no-output", "there is no output matrix: the table is only looked up", r"^token_embd\.weight$",
              "", "its type is chosen as llama-quantize does, like that of a tied table"),)),
)


def families_of(arch):
    return [family for family in FAMILIES if arch in family.archs]
