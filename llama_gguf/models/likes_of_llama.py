"""InternLM 2, XVERSE, ERNIE 4.5, GLM 3 and 4 (chatglm): once converted, nothing tells them from Llama but a name.

ERNIE's mixtures choose experts with a bias, begin with dense layers and may have a shared expert: tensors tell.
"""

from .llama import block, head, hparams

NAMES = ("internlm2", "xverse", "ernie4_5", "ernie4_5-moe", "chatglm")

__all__ = ["NAMES", "block", "head", "hparams"]
