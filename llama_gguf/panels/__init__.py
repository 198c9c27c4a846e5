"""Panels: the model's insides under a mouse, in JupyterLab, Notebook, VS Code, Colab and Voila.

    from llama_gguf.panels import GeneratePanel
    GeneratePanel(model)                         # or panels.open(model, "generate")

Each panel is a `VBox` of plain ipywidgets (7.7 or newer) with a `state` trait: "idle", "running", "done", "stopped",
"error" or "closed". Whatever a panel does, a notebook can do: it calls what the package has for everybody.
"""

import importlib

PANELS = {
    "generate": "GeneratePanel",
    "sampler": "SamplerPanel",
    "tokenizer": "TokenizerPanel",
    "tensors": "TensorsPanel",
    "layers": "LayersPanel",
    "compare": "ComparePanel",
    "quantize": "QuantizePanel",
    "make": "MakePanel",
}
"""What `open` opens; the class is in the module of that name. ipywidgets is imported with it, not before."""

__all__ = [
    "PANELS",
    "ComparePanel",
    "GeneratePanel",
    "LayersPanel",
    "MakePanel",
    "QuantizePanel",
    "SamplerPanel",
    "TensorsPanel",
    "TokenizerPanel",
    "open",
]


def open(model, kind="generate", *args, **options):
    """A panel of a Model, or of the model that a NAME (a path, an alias, user/repo) stands for; "make" opens no model
    and takes None, too.
    """
    if kind not in PANELS:
        raise ValueError(f"there is no panel {kind!r}; there are {', '.join(PANELS)}")
    panel = __getattr__(PANELS[kind])
    if panel.needs_model and not hasattr(model, "tensors"):
        from llama_gguf import Model

        model = Model.from_pretrained(model)
    return panel(model, *args, **options)


def __getattr__(name):
    for kind, panel in PANELS.items():
        if panel == name:
            return getattr(importlib.import_module(f"llama_gguf.panels.{kind}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
