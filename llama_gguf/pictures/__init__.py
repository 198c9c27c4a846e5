"""Pictures as static HTML and SVG: no script, no style sheet, so they show in any notebook, on nbviewer and in a file.

Text and lines take the colour of the page around them, light or dark. Colours of data rise in lightness (or leave a
light middle towards blue and orange), so they keep their order for every kind of colour vision and in grey. NaN is
hatched, infinity magenta, and both are counted. What would be too large is pooled, and the picture says so.
"""

from llama_gguf.pictures.charts import bars, histogram, lines
from llama_gguf.pictures.frame import Picture, markup, together
from llama_gguf.pictures.heat import heat_map
from llama_gguf.pictures.tables import share, table
from llama_gguf.pictures.tokens import coloured_tokens

__all__ = [
    "Picture",
    "bars",
    "coloured_tokens",
    "heat_map",
    "histogram",
    "lines",
    "markup",
    "share",
    "table",
    "together",
]
