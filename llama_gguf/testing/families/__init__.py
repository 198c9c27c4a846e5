"""What a file of each architecture holds: a line or two for each. How the texts are read: see shapes.py."""

from .dense import DENSE
from .encoders import ENCODERS
from .layerwise import LAYERWISE
from .mixtures import MIXTURES_OF_EXPERTS
from .more import MORE
from .recurrent import RECURRENT

FAMILIES = DENSE | MIXTURES_OF_EXPERTS | RECURRENT | LAYERWISE | MORE | ENCODERS
