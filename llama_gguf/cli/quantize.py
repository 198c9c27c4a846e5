"""llama-gguf quantize: a model file in smaller types."""

import click

from llama_gguf.cli import _files, _model
from llama_gguf.cli._output import emit_json, human_size, json_option, note, table
from llama_gguf.cli._progress import progress_bar
from llama_gguf.cli._quantizing import Override, TensorTypes, usage, warn

option = click.option
SHOWN = 4
"""Problems that are told; most are of many tensors alike."""

recipe_options = _model.options(
    option("--pure", is_flag=True, help="The base type for every matrix."),
    option("--output-type", "--output-tensor-type", metavar="TYPE", help="Of output.weight, or of a tied table."),
    option("--token-embedding-type", metavar="TYPE", help="Of the table of tokens."),
    option("--tensor-type", "tensor_types", type=TensorTypes(), multiple=True, metavar="REGEX=TYPE",
         help="Of tensors in whose name REGEX is found; the first that fits wins."),
    option("--tensor-type-file", type=click.Path(exists=True, dir_okay=False), help="Such pairs, parted by blanks."),
    option("--leave-output", "--leave-output-tensor", is_flag=True, help="Keep output.weight as it is."),
)
imatrix_options = _model.options(
    option("--imatrix", "imatrix_path", type=click.Path(exists=True, dir_okay=False), help="Importance matrix to use."),
    option("--include-weights", "include", multiple=True, metavar="NAME", help="Use it only for names that hold NAME."),
    option("--exclude-weights", "exclude", multiple=True, metavar="NAME", help="Not for these."),
)
target_options = _model.options(
    option("--target-size", type=_files.Size(), metavar="SIZE", help="Choose types for a file so large at most: 80MB."),
    option("--target-bpw", type=click.FloatRange(0, min_open=True), metavar="BITS", help="Or of so many bits each."),
    option("--sensitivity", "kl_text", type=click.Path(exists=True, dir_okay=False), metavar="TEXT",
           help="Measure for each matrix how much KL divergence noise in it causes, on a text; slower, better."),
    option("--export-types", type=click.Path(dir_okay=False), help="Write them as a --tensor-type-file."),
)
file_options = _model.options(
    option("--allow-requantize", is_flag=True, help="Also from types that have lost something already."),
    option("--keep-split", is_flag=True, help="As many shards as the input has."),
    option("--override-kv", "overrides", type=Override(), multiple=True, metavar="KEY=TYPE:VALUE",
         help="Set metadata; TYPE is int, float, bool or str."),
    option("--dry-run", is_flag=True, help="Types, sizes and predicted errors; write nothing."),
    _files.force,
)


@click.command()
@click.argument("source", metavar="IN")
@click.argument("out", metavar="OUT")
@click.argument("file_type", metavar="TYPE", required=False)
@imatrix_options
@recipe_options
@target_options
@file_options
@_model.threads
@json_option
def quantize(source, out, file_type, imatrix_path, include, exclude, threads, as_json, dry_run, force, keep_split,
             overrides, allow_requantize, tensor_type_file, target_size, target_bpw, kl_text, export_types, **recipe):
    """Write IN as OUT with matrices of smaller types.

    TYPE is one of llama-quantize's file types: Q8_0 Q6_K Q5_K_M Q5_1 Q5_K_S Q5_0 Q4_K_M Q4_1
    Q4_K_S Q4_0 IQ4_NL IQ4_XS Q3_K_L Q3_K_M IQ3_M Q3_K_S IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS IQ2_XXS
    IQ1_M IQ1_S, of which those from IQ3_XXS on need an importance matrix (`llama-gguf imatrix`), Q2_K aside; F32, BF16
    and F16; TQ2_0, TQ1_0, Q2_0 and Q1_0 for models that were trained for them; MXFP4_MOE for mixtures of experts;
    COPY. --dry-run shows what each tensor would get; OUT may be left out then. Everything is checked before a byte is
    written, and OUT is the old file or the whole new one, whatever happens.

    \b
    Examples:
      llama-gguf quantize model-f16.gguf model-q4.gguf Q4_K_M
      llama-gguf quantize model-f16.gguf model-iq2.gguf IQ2_XS --imatrix imatrix.gguf
      llama-gguf quantize model-f16.gguf out.gguf Q4_K_M --tensor-type attn_v=Q8_0 --dry-run
      llama-gguf quantize model-f16.gguf out.gguf --target-size 80MB --imatrix imatrix.gguf
    """
    from llama_gguf.quantize import Imatrix, Recipe

    sized = bool(target_size or target_bpw)
    if file_type is None and not sized:
        if not dry_run:
            raise click.UsageError("give IN, OUT and TYPE (only a --dry-run needs no OUT)")
        out, file_type = None, out
    pairs = [*recipe.pop("tensor_types"), *pairs_of(tensor_type_file)]
    check_target(sized, file_type, target_size and target_bpw, pairs or any(recipe.values()), kl_text or export_types)
    matrix = Imatrix.load(imatrix_path).only(include, exclude) if imatrix_path else None
    path = _model.resolve(source)
    check_model(path, typed(overrides))
    inputs = [x for x in (path, imatrix_path, tensor_type_file, kl_text) if x]
    check_outputs(inputs, [None if dry_run or keep_split else out, export_types], force)
    if sized:
        wanted = sought(path, target_size, target_bpw, matrix, kl_text, allow_requantize, threads)
        if export_types:
            export(wanted, export_types, force)
        wanted = wanted.recipe
    else:
        with usage():
            wanted = Recipe(file_type, tensor_types=pairs, **recipe)
        tell_unused(path, wanted)
    if dry_run:
        return show_plan(path, wanted, matrix, allow_requantize, as_json)
    return write(path, out, wanted, matrix, as_json, requantize=allow_requantize, force=force, keep_split=keep_split,
                 overrides=typed(overrides), n_threads=threads)


def check_target(sized, file_type, both, others, more):
    if sized and (file_type or others):
        raise click.UsageError("--target-size and --target-bpw choose the types: no TYPE and no other types with them")
    if both or (more and not sized):
        raise click.UsageError("give one of --target-size and --target-bpw")


def check_model(path, overrides):
    """It is a model, and metadata that is set does not make it one that cannot run."""
    from llama_gguf.edit import Edit
    from llama_gguf.gguf import GGUFFile

    with GGUFFile(path) as file:
        if "general.architecture" not in file.metadata:
            raise click.ClickException(f"{path} is no model: it has no key general.architecture")
    if not overrides:
        return
    with Edit(path) as edit:
        new = edit.faults(edit.keys | overrides, edit.tensors) - edit.faults(None, edit.tensors)
        if new:
            told = "; ".join(sorted(new))
            raise click.ClickException(f"with --override-kv: {told} (`llama-gguf set --allow-broken` can do it)")


def tell_unused(path, recipe):
    """A line for each --tensor-type that fits nothing."""
    from llama_gguf.gguf import GGUFFile

    with GGUFFile(path) as file:
        for pattern, _ in recipe.patterns:
            if not any(pattern.search(name) for name in file.tensors):
                note(f"Warning: --tensor-type {pattern.pattern} fits the name of no tensor")


def check_outputs(inputs, outputs, force):
    """Before the search for types, which takes long."""
    from llama_gguf.gguf.atomic import check_output

    for out in filter(None, outputs):
        check_output(out, None, force, inputs)


def sought(path, n_bytes, bits, matrix, kl_text, requantize, threads):
    """The targets.Target for a size."""
    from llama_gguf.quantize.targets import measured_sensitivity, recipe_for_size

    sensitivity = None
    with progress_bar("tensor") as bar:
        if kl_text:
            with open(kl_text, encoding="utf-8") as file, _model.open_model(path, n_threads=threads) as model:
                sensitivity = measured_sensitivity(model, file.read(), progress=bar, weights=matrix)
        how = {"sensitivity": sensitivity, "requantize": requantize, "progress": bar}
        return recipe_for_size(path, n_bytes, bits, matrix, **how)


def export(target, path, force):
    """Its types as a --tensor-type-file."""
    from llama_gguf.gguf import replacing

    with replacing(path, force=force) as file:
        file.write(target.as_tensor_types().encode())


def pairs_of(path):
    """[(regular expression, type)] of a file as llama-quantize takes it."""
    if path is None:
        return []
    with open(path, encoding="utf-8") as file:
        words = file.read().split()
    return [TensorTypes().convert(word, None, None) for word in words]


def typed(overrides):
    """{key: Typed} of (key, type, value) triples: integers as u32, as llama-quantize writes them, i32 below zero."""
    from llama_gguf.gguf import Typed

    kinds = {"float": "f32", "bool": "bool", "str": "str"}
    return {key: Typed(value, kinds.get(name) or ("u32" if value >= 0 else "i32")) for key, name, value in overrides}


def write(path, out, recipe, matrix, as_json, **options):
    from llama_gguf.quantize import quantize_file

    warn(path, recipe, matrix)
    with progress_bar() as bar:
        result = quantize_file(path, out, recipe, matrix, progress=bar, **options)
    bits = round(result.plan.bits_per_weight, 4)
    if as_json:
        emit_json({"paths": result.paths, "type": recipe.type, "size_bytes": result.bytes_after,
                   "source_bytes": result.bytes_before, "bits_per_weight": bits})
    else:
        note(f"{human_size(result.bytes_before)} -> {human_size(result.bytes_after)}, {bits:.2f} bits per weight")
        click.echo("\n".join(map(str, result.paths)))


def show_plan(path, recipe, matrix, requantize, as_json):
    from llama_gguf.quantize import plan_file
    from llama_gguf.quantize.targets import header_bytes

    with progress_bar("tensor") as bar:
        plan = plan_file(path, recipe, matrix, requantize=requantize, errors=True, progress=bar)
    if as_json:
        rows = [row(t) for t in plan.tensors]
        return emit_json({"type": recipe.type, "tensors": rows, "size_bytes": plan.n_bytes,
                          "bits_per_weight": round(plan.bits_per_weight, 4), "problems": plan.problems})
    table(map(cells, plan.tensors), ("TENSOR", "FROM", "TO", "SIZE", "ERROR", "WHY"), right=(3, 4))
    size, header = human_size(plan.n_bytes), human_size(header_bytes(plan.file))
    note(f"{size} and a header of {header}, {plan.bits_per_weight:.2f} bits per weight; ERROR is relative, on a sample,"
         f" {'weighted by the importance matrix' if matrix else 'unweighted'}")
    for problem in plan.problems[:SHOWN]:
        note(f"problem: {problem}")
    if len(plan.problems) > SHOWN:
        note(f"and {len(plan.problems) - SHOWN} more like this")
    return 1 if plan.problems else 0


def row(t):
    sizes = {"bytes_before": t.bytes_before, "bytes_after": t.bytes_after}
    return {"name": t.name, "shape": list(t.shape), "from": t.source, "to": t.target, **sizes, "error": t.error,
            "reason": t.reason}


def cells(t):
    return t.name, t.source, t.target, human_size(t.bytes_after), f"{t.error:.4f}" if t.error else "-", t.reason
