"""The table of docs/converting.md: python -m llama_gguf.convert._page > table.md"""

from .family import registry


def table():
    """A Markdown table of classes by architecture, from the families' own files."""
    rows = {}
    for name, family in registry().items():
        arch = getattr(family, "arch", None) or CHOSEN[name]
        rows.setdefault(arch, []).append(f"`{name}`")
    lines = ["| GGUF architecture | classes in config.json |", "|---|---|"]
    return "\n".join(lines + [f"| {arch} | {', '.join(sorted(rows[arch]))} |" for arch in sorted(rows)])


CHOSEN = {
    "GraniteMoeHybridForCausalLM": "granitehybrid, granite or granitemoe",
    "BambaForCausalLM": "granitehybrid, granite or granitemoe",
    "NemotronHForCausalLM": "nemotron_h or nemotron_h_moe",
}
"""Architectures of classes for which config.json decides."""

if __name__ == "__main__":
    print(table())
