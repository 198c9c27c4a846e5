"""A Jinja2 in which a template from a model file can neither escape nor exhaust the machine.

Jinja2's own immutable sandbox keeps templates away from Python and from the caller's objects.
What it lacks is added here: every loop turn, call, filter and operator passes a meter that
knows the time and the amount of text made so far, so that a hostile template ends in an error.
"""

import functools
import json
import re
import time

from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS = 0.9       # to compile, and again to render: together within the two seconds promised
MAX_NUMBER = 1_000_000      # as an argument: a width, a count, an indent
MAX_BITS = 4096             # of an integer
MAX_TEXT = 1 << 22          # characters of one string or elements of one list that is made
MAX_TOTAL = 1 << 26         # characters and elements of all of them together
MAX_OUTPUT = 1 << 24

CONTAINERS = (list, tuple, dict, set, frozenset)


class Meter:
    """What one rendering has used up; `tick()` after `SECONDS` raises."""

    def __init__(self):
        self.end, self.total, self.weights = time.monotonic() + SECONDS, 0, {}

    def tick(self):
        if time.monotonic() > self.end:
            raise SecurityError(f"takes more than {SECONDS:g} seconds")

    def add(self, size):
        """Room for a new value of `size` characters or elements."""
        self.tick()
        self.total += size
        if size > MAX_TEXT or self.total > MAX_TOTAL:
            raise SecurityError("makes too much text")

    def weight(self, value):
        """Characters and elements of a value, those inside it counted as often as they occur.

        A list of a list of a list ..., twice each, is small in memory and endless in print.
        """
        if isinstance(value, str):
            return len(value) + 1
        if not isinstance(value, CONTAINERS):
            return 1
        known = self.weights.get(id(value))
        if known is None:
            inner = [*value, *value.values()] if isinstance(value, dict) else value
            total = 1 + sum(map(self.weight, inner))
            # The value is kept along with its weight so that its id stays its own.
            known = self.weights[id(value)] = (total, value)
            if total > MAX_TOTAL:
                raise SecurityError("nests too much")
        return known[0]


class Generation(Extension):
    """{% generation %} marks what a model wrote, for training; here it only groups."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class MeteredCode(CodeGenerator):
    """Generated code reports loop turns, joined text and new containers to the meter."""

    def visit_For(self, node, frame):
        turn = nodes.ExprStmt(nodes.Call(nodes.EnvironmentAttribute("turn"), [], [], None, None))
        node.body.insert(0, turn.set_lineno(node.lineno))
        super().visit_For(node, frame)

    def visit_Concat(self, node, frame):
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def metered(self, visit, node, frame):
        self.write("environment.built(")
        visit(node, frame)
        self.write(")")

    def visit_List(self, node, frame):
        self.metered(super().visit_List, node, frame)

    def visit_Dict(self, node, frame):
        self.metered(super().visit_Dict, node, frame)

    def visit_Tuple(self, node, frame):
        if node.ctx == "store":
            super().visit_Tuple(node, frame)
        else:
            self.metered(super().visit_Tuple, node, frame)


class Sandbox(ImmutableSandboxedEnvironment):
    """One per compilation and one per rendering: each has its seconds."""

    code_generator_class = MeteredCode
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self):
        super().__init__(trim_blocks=True, lstrip_blocks=True, cache_size=0,
                         extensions=[LoopControlExtension, Generation], finalize=self.printed)
        self.meter = Meter()
        self.policies["json.dumps_kwargs"] = {}
        self.globals.pop("lipsum", None)
        self.filters = {name: self.bounded(f) for name, f in self.filters.items()}
        self.filters |= {"tojson": self.tojson, "join": self.bounded(self.join),
                         "replace": self.bounded(self.replace),
                         "format": self.bounded(self.percent)}

    def turn(self):
        self.meter.tick()

    def built(self, value):
        if self.meter.weight(value) > MAX_TOTAL:
            raise SecurityError("nests too much")
        return value

    def printed(self, value):
        """What an expression puts out."""
        if isinstance(value, CONTAINERS):
            self.meter.add(self.meter.weight(value))
        return value

    def joined(self, parts):
        self.meter.add(sum(map(self.meter.weight, parts)))
        return "".join(map(str, parts))

    def bounded(self, function):
        """A filter that refuses huge numbers and is metered."""

        @functools.wraps(function)
        def inner(*args, **kwargs):
            self.check_arguments(args, kwargs)
            return self.measured(function(*args, **kwargs))

        return inner

    def check_arguments(self, args, kwargs):
        self.meter.tick()
        for value in (*args, *kwargs.values()):
            if isinstance(value, int) and abs(value) > MAX_NUMBER:
                raise SecurityError(f"asks for {value:.3g}")
            if isinstance(value, CONTAINERS):
                self.meter.weight(value)

    def measured(self, value):
        if isinstance(value, (str, *CONTAINERS)):
            self.meter.add(len(value))
        return value

    def call_binop(self, context, operator, left, right):
        self.meter.tick()
        if operator == "%" and isinstance(left, str):
            return self.percent(left, right)
        if operator == "**":
            if isinstance(left, int) and isinstance(right, int) and \
                    left.bit_length() * abs(right) > MAX_BITS:
                raise SecurityError("makes too large a number")
        elif operator == "*":
            self.check_product(left, right)
        elif operator == "+" and isinstance(left, (str, list, tuple)) and type(left) is type(right):
            self.meter.add(len(left) + len(right))
        value = super().call_binop(context, operator, left, right)
        return self.built(value) if isinstance(value, CONTAINERS) else value

    def check_product(self, left, right):
        for many, times in ((left, right), (right, left)):
            if isinstance(many, (str, list, tuple)) and isinstance(times, int):
                self.meter.add(len(many) * max(times, 0))
        integers = isinstance(left, int) and isinstance(right, int)
        if integers and left.bit_length() + right.bit_length() > MAX_BITS:
            raise SecurityError("makes too large a number")

    def percent(self, text, *args, **kwargs):
        """`text % args`, without widths that would fill the memory."""
        text = str(text)
        if re.search(r"%[^a-zA-Z%]*(\*|\d{5})", text):
            raise SecurityError("formats too wide")
        values = kwargs or (args[0] if len(args) == 1 and isinstance(args[0], (tuple, dict))
                            else args)
        times = text.count("%") if isinstance(values, dict) else 1
        self.meter.add(len(text) + self.meter.weight(values) * times)
        return text % values

    def wrap_str_format(self, value):
        """`text.format(...)`: each field may show each argument."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def inner(*args, **kwargs):
            text = value.__self__
            if re.search(r"\d{5}|[:!][^}]*\{", text):
                raise SecurityError("formats too wide")
            size = self.meter.weight([*args, *kwargs.values()])
            self.meter.add(len(text) + text.count("{") * size)
            return wrapped(*args, **kwargs)

        return inner

    def call(self, context, obj, *args, **kwargs):
        """A function or method, some of which multiply text."""
        self.check_arguments(args, kwargs)
        name, owner = getattr(obj, "__name__", ""), getattr(obj, "__self__", None)
        if isinstance(owner, str) and args:
            if name == "replace":
                self.check_replace(owner, *args)
            elif name == "join":
                args = (self.check_join(owner, args[0]), *args[1:])
            elif name == "translate":
                raise SecurityError("translate() is not allowed")
        return self.measured(super().call(context, obj, *args, **kwargs))

    def check_replace(self, text, old, new, *count):
        times = len(text) + 1 if old == "" else text.count(old)
        self.meter.add(len(text) + times * len(new))

    def check_join(self, text, parts):
        parts = list(parts)
        self.meter.add(sum(map(self.meter.weight, parts)) + len(text) * len(parts))
        return parts

    def replace(self, value, old, new, count=None):
        text, old, new = str(value), str(old), str(new)
        self.check_replace(text, old, new)
        return text.replace(old, new, -1 if count is None else count)

    def join(self, value, d="", attribute=None):
        parts = list(value)
        if attribute is not None:
            for name in str(attribute).split("."):
                parts = [self.getitem(part, int(name) if name.isdigit() else name)
                         for part in parts]
        self.check_join(str(d), parts)
        return str(d).join(map(str, parts))

    def tojson(self, value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        """As transformers does: no HTML escapes."""
        self.check_arguments((indent,), {})
        self.meter.add(2 * self.meter.weight(value))
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)


def compiled(text):
    """A template as code, which threads may share; compiling counts constants together, so it has its meter, too."""
    return Sandbox().compile(text)


def render(code, variables):
    """The text that a compiled template makes of `variables`, in a sandbox of its own."""
    sandbox = Sandbox()
    template = sandbox.template_class.from_code(sandbox, code, sandbox.make_globals(None))
    parts, size = [], 0
    for part in template.generate(variables):
        parts.append(part)
        size += len(part)
        if size > MAX_OUTPUT:
            raise TemplateRuntimeError(f"makes more than {MAX_OUTPUT} characters")
    return "".join(parts)
