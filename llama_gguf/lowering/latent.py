"""Tasks of nn/latent.py."""


class Latent:
    """Methods of Lowering."""

    def do_heads_part(self, r):
        heads, start = r.attrs["heads"], r.attrs["start"]
        self.add(self.task(r, n=(heads, r.inputs[0].width // heads, start)))

    def do_heads_join(self, r):
        heads = r.attrs["heads"]
        size = r.inputs[0].width // heads
        self.add(self.task(r, n=(heads, size, r.out.width // heads - size, int(r.attrs["shared"]))))

    def do_heads_matmul(self, r):
        task = self.task(r, sources=("raw",), weight=r.attrs["weight"], n=r.attrs["weight"].tensor.shape[:1])
        if self.quantized(task.weight.tensor):
            task.sources["raw"], task.terms = self.eight_bit(r.inputs[0]), r.attrs["terms"]
        self.add(task)
