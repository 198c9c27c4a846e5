"""Rotation and attention."""

from .task import Task

SHOWN = ("attn_scores", "attn_pattern")


def scope_of(r):
    """ "blk.7." of the record that attends there."""
    return r.name.removesuffix("attn_z")


class Attention:
    """Methods of Lowering."""

    def do_angles(self, r):
        self.add(self.task(r, f=(r.attrs["magnitude"],), frequencies=r.attrs["frequencies"]))

    def do_rope(self, r):
        heads = r.attrs["heads"]
        self.add(self.task(r, n=(heads, r.out.width // heads, r.attrs["pairs"], int(r.attrs["neox"]))))

    def do_attend(self, r):
        q, *stored = (("x", x.id) for x in r.inputs)
        layer, heads, window = (r.attrs[x] for x in ("layer", "heads", "window"))
        reach = -1 if r.attrs["chunked"] else int(not r.attrs["causal"])
        sources = dict(zip("abc", stored, strict=False))  # keys, values and, if keys are still to be rotated, angles
        turn = r.attrs.get("pairs", 0), int(r.attrs.get("neox", 0))
        if stored:  # or they are those of another layer
            self.add(Task("store", f"{r.name}:store", 0, sources=sources, n=turn, layer=layer, writes_cache=True))
        sinks = {"gain": r.attrs["sinks"]} if r.attrs["sinks"] else {}
        slopes = {"bias": r.attrs["slopes"]} if r.attrs["slopes"] else {}
        if not self.watched.isdisjoint(scope_of(r) + name for name in SHOWN):
            return self.attend_visibly(r, q, (heads, self.keys, window, reach), sinks, slopes)
        n = (heads, None, window, reach)  # None: parts at most, known when the cache is
        how = {"n": n, "f": (r.attrs["scale"], r.attrs["cap"]), "layer": layer, "vectors": sinks | slopes}
        self.add(self.task(r, "attend", **how)).sources = {"a": q}
        self.add(self.task(r, "merge", n=n, layer=layer, vectors=sinks)).sources = {"a": ("x", r.out.id)}

    def attend_visibly(self, r, q, n, sinks, slopes):
        width, layer = n[0] * n[1], r.attrs["layer"]
        scores, pattern = (("x", scope_of(r) + name) for name in SHOWN)
        how = {"sources": {"a": q}, "f": (r.attrs["scale"], r.attrs["cap"]), "layer": layer, "vectors": slopes}
        self.add(Task("scores", scores[1], width, dst=scores, n=n, **how))
        self.add(Task("softmax", pattern[1], width, dst=pattern, sources={"a": scores}, n=n, vectors=sinks))
        self.add(self.task(r, "mix", n=n, layer=layer)).sources = {"a": pattern}
