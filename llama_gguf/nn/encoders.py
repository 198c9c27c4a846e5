"""What only encoders have."""


def first_row(x, w):
    """x + row 0 of a table: the type of all tokens of a text that has one part."""
    w.table(x.width)
    return x.graph.emit("add_row", x, width=x.width, name=w.name, weight=w, row=0)
