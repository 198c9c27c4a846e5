"""InternLM 2, XVERSE, ERNIE 4.5: once converted, nothing tells them from Llama but a name."""

from .llama import block, head, hparams

NAMES = ("internlm2", "xverse", "ernie4_5")

__all__ = ["NAMES", "block", "head", "hparams"]
