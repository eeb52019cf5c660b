"""Layers on top of one another: each changes what it says, and nothing else."""

from collections.abc import Sequence

from modelmux.config.origin import Branch, Items, KeyPath, Leaf, Node
from modelmux.config.problem import Report
from modelmux.config.shape import EitherShape, FieldShape, ListShape, Shape, TableShape


def merge(lower: Node, upper: Node, shape: Shape | None) -> Node:
    """`lower` with what `upper` says on top.

    Tables are merged key by key. Arrays of tables that the schema merges by name: an entry of
    the same name is merged, others are appended in their order. Everything else is replaced,
    whatever its value.

    Args:
        lower: What was said so far.
        upper: The layer on top.
        shape: What may stand here; `None` where the schema knows nothing.
    """
    match lower, upper, shape:
        case Branch(), Branch(), TableShape():
            return _merge_tables(lower, upper, shape)
        case Branch(), Branch(), _:
            return _merge_tables(lower, upper, None)
        case Items(), Items(), ListShape(by_name=True):
            return _merge_by_name(lower, upper, shape.item)
        case _:
            return upper


def _merge_tables(lower: Branch, upper: Branch, shape: TableShape | None) -> Branch:
    children = dict(lower.children)
    if shape is not None:
        for group in shape.struct.EXCLUSIVE:
            if any(key in upper.children for key in group):
                children = {key: each for key, each in children.items() if key not in group}
    for key, above in upper.children.items():
        below = children.get(key)
        field = shape.fields.get(key) if shape is not None else None
        inner = field.shape if isinstance(field, FieldShape) else None
        children[key] = above if below is None else merge(below, above, inner)
    # A layer that is no file has no place for its tables.
    return Branch(children, upper.origin if upper.origin.file else lower.origin)


def _merge_by_name(lower: Items, upper: Items, item: Shape) -> Items:
    merged = list(lower.items)
    places = {_name(each): index for index, each in reversed(list(enumerate(lower.items)))}
    for entry in upper.items:
        name = _name(entry)
        place = places.pop(name, None) if name is not None else None
        if place is None:
            merged.append(entry)
        else:
            merged[place] = merge(merged[place], entry, item)
    return Items(merged, upper.origin)


def _name(entry: Node) -> object:
    name = entry.children.get("name") if isinstance(entry, Branch) else None
    return name.value if isinstance(name, Leaf) and isinstance(name.value, str) else None


def canonical(node: Node, shape: Shape, report: Report, path: KeyPath = ()) -> Node:
    """One layer with every key under its own name, where it was said under another.

    A key said under both names is an error.
    """
    match node, shape:
        case Branch(), TableShape():
            return _canonical_table(node, shape, report, path)
        case Branch(), EitherShape():
            return _canonical_table(node, shape.table, report, path)
        case Items(), ListShape():
            items: Sequence[Node] = [
                canonical(each, shape.item, report, (*path, index))
                for index, each in enumerate(node.items)
            ]
            return Items(items, node.origin)
        case _:
            return node


def _canonical_table(node: Branch, shape: TableShape, report: Report, path: KeyPath) -> Branch:
    children: dict[str, Node] = {}
    for said, each in node.children.items():
        key = shape.aliases.get(said, said)
        if key != said and key in node.children:
            report.error(each.origin, (*path, said), f"expected once, is another name of {key!r}")
        elif key in shape.fields:
            children[key] = canonical(each, shape.fields[key].shape, report, (*path, key))
        else:
            children[key] = each
    return Branch(children, node.origin)
