"""Shapes of well-known models, for `tiny`. Those that would be larger than 2 GB have fewer layers or experts."""

ATTENDING = {"heads": 32, "kv_heads": 8, "context": 8192}

SHAPES = {
    "1b": dict(layers=16, width=2048, heads=32, kv_heads=8, ff=8192, tokens=128256, tied=True, context=8192),
    "7b": dict(layers=32, width=4096, heads=32, kv_heads=32, ff=11008, tokens=32000, context=4096),
    "8b": dict(layers=32, width=4096, heads=32, kv_heads=8, ff=14336, tokens=128256, context=8192),
    "moe-8x": dict(  # Mixtral's, smaller: 2.5 billion weights, of which a token meets 0.8
        layers=12, width=2048, heads=32, kv_heads=8, ff=4096, tokens=32000, context=8192, experts=8, experts_used=2
    ),
    "olmoe": ATTENDING | dict(  # OLMoE 1B-7B, 4 of 16 layers
        arch="olmoe", layers=4, width=2048, heads=16, kv_heads=16, ff=1024, tokens=50304, experts=64, experts_used=8
    ),
    "qwen3moe": ATTENDING | dict(  # Qwen3 30B-A3B, 4 of 48 layers and fewer words
        arch="qwen3moe", layers=4, width=2048, kv_heads=4, head_dim=128, ff=6144, expert_ff=768, tokens=32000,
        experts=128, experts_used=8,
    ),
    "gpt-oss": ATTENDING | dict(  # gpt-oss 20B, 3 of 24 layers and fewer words
        arch="gpt-oss", layers=3, width=2880, heads=64, head_dim=64, ff=2880, tokens=32000, window=128,
        experts=32, experts_used=4,
    ),
    "mamba": dict(  # Mamba 1.4B, half of its layers
        arch="mamba", layers=24, width=2048, state=16, rank=128, tokens=50280, context=8192
    ),
    "mamba2": dict(  # Mamba2 1.3B, half of its layers
        arch="mamba2", layers=24, width=2048, state=128, rank=64, groups=1, tokens=50288, context=8192
    ),
    "falcon-h1": dict(  # Falcon-H1 0.5B
        arch="falcon-h1", layers=36, width=1024, heads=8, kv_heads=2, head_dim=64, ff=2048, inner=1536, state=128,
        rank=24, groups=1, tokens=32784, context=8192,
    ),
    "granite-h": dict(  # Granite 4.0 H Tiny, 10 of 40 layers
        arch="granitehybrid", layers=10, every=10, width=1536, heads=12, kv_heads=4, ff=512, shared_ff=1024,
        inner=3072, state=128, rank=48, groups=1, experts=64, experts_used=6, tokens=100352, context=8192,
    ),
    "lfm2": ATTENDING | dict(  # LFM2 1.2B
        arch="lfm2", layers=16, every=3, width=2048, ff=8192, tokens=65536
    ),
    "jamba": dict(  # Jamba Reasoning 3B, half of its layers
        arch="jamba", layers=14, every=14, width=2560, heads=20, kv_heads=1, ff=8192, state=16, rank=160, experts=0,
        tokens=65536, context=8192,
    ),
    "qwen35": dict(  # Qwen3.5 2B, fewer words
        arch="qwen35", layers=24, every=4, width=2048, heads=8, kv_heads=2, head_dim=256, rope_dim=64, ff=6144,
        state=128, rank=16, groups=16, tokens=65536, context=8192,
    ),
    "qwen35moe": dict(  # Qwen3.5 35B-A3B, 8 of 40 layers, a quarter of their experts, fewer words
        arch="qwen35moe", layers=8, every=4, width=2048, heads=16, kv_heads=2, head_dim=256, rope_dim=64, ff=512,
        shared_ff=512, state=128, rank=32, groups=16, experts=64, experts_used=8, tokens=65536, context=8192,
    ),
}
