"""One finding about a file."""

from dataclasses import asdict, dataclass

SEVERITIES = ("note", "warning", "error")
"""note: good to know, and dealt with; warning: costs quality, or fails elsewhere; error: it cannot work."""


@dataclass(frozen=True)
class Issue:
    """`id` is stable; `affected` lists tensors or metadata keys; `handled` tells what this package does about it
    ("" if somebody else has to: then `workaround` says how).
    """

    id: str
    severity: str
    summary: str
    affected: tuple = ()
    workaround: str = ""
    handled: str = ""

    def as_dict(self):
        return asdict(self) | {"affected": list(self.affected)}
