"""Norms, views and positions that are learned."""


class Dense:
    """Methods of Lowering."""

    def do_rms_norm(self, r):
        heads, each = r.attrs["heads"], r.attrs["each"]
        n = heads, r.out.width // heads if each else 0
        self.add(self.task(r, n=n, f=(r.attrs["eps"],), weight=r.attrs["gain"]))

    do_layer_norm = do_rms_norm

    def do_part(self, r):
        """A view is another key of the same buffer, unless somebody watches."""
        key = ("x", r.inputs[0].id)
        *base, start = self.views.get(key, (*key, 0))
        view = (*base, start + r.attrs["start"])
        if r.out.id in self.watched:
            self.add(self.task(r, "copy")).sources = {"a": view}
        else:
            self.views[("x", r.out.id)] = view

    def do_position(self, r):
        self.add(self.task(r, weight=r.attrs["weight"]))

    def do_temper(self, r):
        self.add(self.task(r, n=(r.attrs["length"], r.attrs["offset"]), f=(r.attrs["scale"],)))
