"""The tags of Liquid, so wrapped that each node of a text is charged for whenever it is rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from liquid import Tag
from liquid.ast import Node
from liquid.builtin.expressions.primitive import RangeLiteral, StringLiteral
from liquid.exceptions import LiquidValueError

from pushkeeper.core.messages.liquid_budget import MAX_RANGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liquid import RenderContext, TokenStream
    from liquid.ast import Partial
    from liquid.builtin.expressions import Identifier
    from liquid.expression import Expression

    from pushkeeper.core.messages.liquid_budget import Context

_PER_NODE = 20
_PER_EXPRESSION = 10


class ChargedTag(Tag):
    """A tag whose nodes are charged for."""

    def __init__(self, tag: Tag) -> None:
        super().__init__(tag.env)
        self._tag = tag
        self.name, self.block = tag.name, tag.block

    def parse(self, stream: TokenStream) -> Node:
        """What the tag makes of a text, charged for."""
        return ChargedNode(self._tag.get_node(stream))

    get_node = parse


class ChargedNode(Node):
    """A node that costs its size, without child nodes that are charged separately."""

    __slots__ = ("_node", "_units")

    def __init__(self, node: Node) -> None:
        super().__init__(node.token)
        self.blank = node.blank
        self._node = node
        self._units = _units(node)

    def __str__(self) -> str:
        return str(self._node)

    def render_to_output(self, context: Context, buffer: TextIO) -> int:  # type: ignore[override]
        """Render the node, if that may still be done."""
        context.budget.charge(self._units)
        return self._node.render_to_output(context, buffer)

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[Node]:
        """The nodes in it."""
        return self._node.children(static_context, include_partials=include_partials)

    def expressions(self) -> Iterable[Expression]:
        """What it evaluates."""
        return self._node.expressions()

    def template_scope(self) -> Iterable[Identifier]:
        """What it names for all that follows."""
        return self._node.template_scope()

    def block_scope(self) -> Iterable[Identifier]:
        """What it names for the nodes in it."""
        return self._node.block_scope()

    def partial_scope(self) -> Partial | None:
        """What it includes."""
        return self._node.partial_scope()


class BoundedRange(RangeLiteral):
    """`(a..b)`, never longer than `MAX_RANGE`, and charged for where it is made."""

    __slots__ = ()

    def evaluate(self, context: Context) -> range:  # type: ignore[override]
        """The range; LiquidValueError when it is too long."""
        made = super().evaluate(context)
        # `len` of a range beyond 2**63 is an error.
        if made.stop - made.start > MAX_RANGE:
            raise LiquidValueError(f"a range has at most {MAX_RANGE} numbers", token=self.token)
        context.budget.charge(len(made))
        return made


def _units(node: Node) -> int:
    units, waiting = 0, [node]
    while waiting:
        one = waiting.pop()
        units += _PER_NODE
        for expression in one.expressions():
            units += _of_expression(expression)
        # The context is for what is included, which nothing is.
        inner = one.children(None, include_partials=False)  # type: ignore[arg-type]
        waiting += [each for each in inner if type(each) is not ChargedNode]
    return units


def _of_expression(expression: Expression) -> int:
    """The units of an expression; the ranges in it are bounded from now on."""
    units, waiting = 0, [expression]
    while waiting:
        one = waiting.pop()
        if type(one) is RangeLiteral:
            # The library's parser makes them in so many places that they cannot be made otherwise.
            one.__class__ = BoundedRange
        units += _PER_EXPRESSION + (len(one.value) if isinstance(one, StringLiteral) else 0)
        waiting += one.children()
    return units
