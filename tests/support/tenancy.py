"""Which rows of a tenant's tables a statement can reach: PostgreSQL's own grammar, and who equals whose workspace_id.

A table is *bound* where its `workspace_id` must equal a parameter, or that of something which is bound. A statement that
crosses workspaces on purpose has one table in each query that starts it; whatever is joined to it has to be bound to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType, SubLinkType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

WORKSPACE = "workspace_id"
_ROOT = "workspaces"  # has the column, and is no tenant's table: looking up a workspace happens before there is one
_EQUALS = (A_Expr_Kind.AEXPR_OP, A_Expr_Kind.AEXPR_OP_ANY)
Column = object  # one workspace_id, by identity or by its parameter's number
_BOUND: Column = "bound"


def unbound(
    sql: str, tenants: Iterable[str], *, crosses: bool = False, given: Iterable[str] = ()
) -> list[str]:
    """The tenants' tables in a statement that are not bound, each with the alias it goes by.

    Args:
        sql: one or more statements.
        tenants: names of tables that have a workspace_id.
        crosses: the statement is meant to read or change several workspaces.
        given: names of what is bound from outside: a trigger's transition tables, a function for its arguments.
    """
    found: list[str] = []
    reader = _Reader(frozenset(tenants), found, crosses=crosses)
    for raw in parse_sql(sql):
        outside = _Scope(ctes=dict.fromkeys(given, True), columns=dict.fromkeys(given, _BOUND))
        reader.statement(raw.stmt, outside)
    return found


class _Equals:
    """Which columns equal each other."""

    def __init__(self, parents: dict[Column, Column] | None = None) -> None:
        self._parents = parents or {}

    def copy(self) -> _Equals:
        return _Equals(dict(self._parents))

    def root(self, column: Column) -> Column:
        while (parent := self._parents.get(column, column)) is not column:
            column = parent
        return column

    def join(self, one: Column, other: Column) -> None:
        one, other = self.root(one), self.root(other)
        if one is not other:
            # The bound one stays the root.
            kept, gone = (one, other) if one is _BOUND else (other, one)
            self._parents[gone] = kept

    def is_bound(self, column: Column) -> bool:
        return self.root(column) is _BOUND


@dataclass
class _Scope:
    """What the names of a query mean: relations by alias, with their column where they have one."""

    ctes: Mapping[str, bool] = field(
        default_factory=dict
    )  # whether the workspace_id that each gives is bound
    outer: _Scope | None = None
    columns: dict[str, Column] = field(default_factory=dict)
    merged: list[Column] = field(default_factory=list)  # what a bare `workspace_id` may be
    tables: list[tuple[str, str]] = field(default_factory=list)  # tenants' tables, by alias
    nested: list[tuple[str, Any]] = field(default_factory=list)  # selects in `from`, by alias
    equals: _Equals = field(default_factory=_Equals)

    def column(self, fields: tuple[Any, ...]) -> Column | None:
        names = [getattr(f, "sval", "*") for f in fields]
        if names[-1] != WORKSPACE:
            return None
        scope: _Scope | None = self
        while scope is not None:
            if len(names) == 1 and scope.merged:
                return scope.merged[0]
            if len(names) > 1 and names[-2] in scope.columns:
                return scope.columns[names[-2]]
            scope = scope.outer
        return None


class _Reader:
    def __init__(self, tenants: frozenset[str], found: list[str], *, crosses: bool) -> None:
        self._tenants = tenants
        self._found = found
        self._crosses = crosses

    def statement(self, node: Any, outer: _Scope) -> bool:
        """Read a statement; whether the workspace_id that it answers with is bound."""
        if isinstance(node, ast.SelectStmt) and node.larg is not None:
            ctes = self._ctes(node.withClause, outer)
            arms = _Scope(ctes=ctes, outer=outer, equals=outer.equals)
            return all([self.statement(node.larg, arms), self.statement(node.rarg, arms)])
        if isinstance(node, ast.ExplainStmt):
            return self.statement(node.query, outer)
        if not isinstance(node, ast.SelectStmt | ast.InsertStmt | ast.UpdateStmt | ast.DeleteStmt):
            return False  # it is about the schema
        scope = _Scope(ctes=self._ctes(node.withClause, outer), outer=outer, equals=outer.equals.copy())
        if isinstance(node, ast.InsertStmt):
            return self._insert(node, scope)
        for item in _from(node):
            scope.merged += self._item(item, scope)
        self._qualify(getattr(node, "whereClause", None), scope)
        self._nested(scope)
        self._start(scope)
        self._check(scope)
        self._subqueries(node, scope)
        return self._answers(node, scope)

    def _ctes(self, clause: Any, outer: _Scope) -> Mapping[str, bool]:
        known = dict(outer.ctes)
        for cte in clause.ctes if clause else ():
            if (
                clause.recursive
                and isinstance(cte.ctequery, ast.SelectStmt)
                and cte.ctequery.larg is not None
            ):
                known[cte.ctename] = self.statement(
                    cte.ctequery.larg, _Scope(ctes=known, outer=outer, equals=outer.equals)
                )
            bound = self.statement(cte.ctequery, _Scope(ctes=known, outer=outer, equals=outer.equals))
            known[cte.ctename] = bound or (cte.aliascolnames is not None and known.get(cte.ctename, False))
        return known

    def _item(self, item: Any, scope: _Scope) -> list[Column]:
        """Take a relation of `from` in; the columns by which a bare `workspace_id` may mean it."""
        if isinstance(item, ast.RangeTableSample):
            item = item.relation
        if isinstance(item, ast.RangeVar):
            return self._table(item, scope)
        if isinstance(item, ast.RangeFunction):
            return self._function(item, scope)
        if isinstance(item, ast.RangeSubselect):
            return self._subselect(item, scope)
        left, right = self._item(item.larg, scope), self._item(item.rarg, scope)
        if any(name.sval == WORKSPACE for name in item.usingClause or ()):
            for one in left[1:] + right:
                scope.equals.join(left[0], one)
            left, right = left[:1], []
        self._qualify(item.quals, scope)
        return left + right

    def _subselect(self, item: Any, scope: _Scope) -> list[Column]:
        alias = item.alias.aliasname
        scope.columns[alias] = object()
        scope.nested.append((alias, item.subquery))
        return [scope.columns[alias]] if _gives_workspace(item.subquery) else []

    def _table(self, item: Any, scope: _Scope) -> list[Column]:
        alias = item.alias.aliasname if item.alias else item.relname
        column: Column = object()
        if item.relname in scope.ctes:
            scope.columns[alias] = column
            if scope.ctes[item.relname]:
                scope.equals.join(_BOUND, column)
            return [column]
        if item.relname in self._tenants:
            scope.columns[alias] = column
            scope.tables.append((alias, item.relname))
            return [column]
        return []

    def _function(self, item: Any, scope: _Scope) -> list[Column]:
        """Rows that are made of parameters are as good as those."""
        alias = item.alias.aliasname if item.alias else ""
        names = [name.sval for name in (item.alias.colnames or ())] if item.alias else []
        names += [column.colname for column in item.coldeflist or ()]
        column: Column = object()
        if any(isinstance(node, ast.ParamRef) for node in _walk(item.functions)):
            scope.equals.join(_BOUND, column)
        scope.columns[alias] = column
        return [column] if WORKSPACE in names else []

    def _qualify(self, qual: Any, scope: _Scope) -> None:
        """Take in what a condition says of workspaces: only what must hold, so nothing below `or` and `not`."""
        if isinstance(qual, ast.BoolExpr) and qual.boolop == BoolExprType.AND_EXPR:
            for part in qual.args or ():
                self._qualify(part, scope)
        elif isinstance(qual, ast.A_Expr) and qual.kind in _EQUALS and qual.name[-1].sval == "=":
            for one, other in zip(_parts(qual.lexpr), _parts(qual.rexpr), strict=False):
                self._equate(one, other, scope)
        elif isinstance(qual, ast.SubLink) and qual.subLinkType == SubLinkType.ANY_SUBLINK:
            place = _place_of_workspace(qual.subselect)
            if place is not None and self._quietly(qual.subselect, scope):
                self._equate(_parts(qual.testexpr)[place], ast.ParamRef(number=0), scope)

    def _quietly(self, subselect: Any, scope: _Scope) -> bool:
        return _Reader(self._tenants, [], crosses=self._crosses).statement(subselect, scope)

    def _equate(self, one: Any, other: Any, scope: _Scope) -> None:
        columns = [self._column(side, scope) for side in (one, other)]
        if columns[0] is not None and columns[1] is not None:
            scope.equals.join(columns[0], columns[1])

    def _column(self, node: Any, scope: _Scope) -> Column | None:
        while isinstance(node, ast.TypeCast):
            node = node.arg
        if isinstance(node, ast.ParamRef):
            return _BOUND
        return scope.column(node.fields) if isinstance(node, ast.ColumnRef) else None

    def _nested(self, scope: _Scope) -> None:
        for alias, query in scope.nested:
            inner = _Scope(ctes=scope.ctes, outer=scope, equals=scope.equals)
            if self.statement(query, inner):
                scope.equals.join(_BOUND, scope.columns[alias])

    def _start(self, scope: _Scope) -> None:
        """Where workspaces are crossed, the first table of a query is where that starts."""
        if self._crosses and scope.tables and not any(map(scope.equals.is_bound, scope.columns.values())):
            scope.equals.join(_BOUND, scope.columns[scope.tables[0][0]])
            self._nested(scope)

    def _check(self, scope: _Scope) -> None:
        for alias, table in scope.tables:
            if table != _ROOT and not scope.equals.is_bound(scope.columns[alias]):
                self._found.append(f"{table} as {alias}")

    def _subqueries(self, node: Any, scope: _Scope) -> None:
        """Read what conditions and select lists contain."""
        inside_from = {id(query) for _, query in scope.nested}
        for sublink in _own_sublinks(node, inside_from):
            self.statement(sublink, _Scope(ctes=scope.ctes, outer=scope, equals=scope.equals))

    def _insert(self, node: Any, scope: _Scope) -> bool:
        source = node.selectStmt
        names = [target.name for target in node.cols or ()]
        if source is not None and source.valuesLists is None:
            self.statement(source, _Scope(ctes=scope.ctes, outer=scope, equals=scope.equals))
        if node.relation.relname in self._tenants - {_ROOT} and WORKSPACE not in names:
            self._found.append(f"{node.relation.relname} without naming {WORKSPACE}")
        return True  # what comes back is what was inserted

    def _answers(self, node: Any, scope: _Scope) -> bool:
        returning = getattr(node, "returningClause", None)
        targets = returning.exprs if returning else getattr(node, "targetList", None)
        for target in targets or ():
            value = target.val
            if isinstance(value, ast.ColumnRef):
                last = value.fields[-1]
                if isinstance(last, ast.A_Star):
                    aliases = [value.fields[0].sval] if len(value.fields) > 1 else list(scope.columns)
                    return any(
                        scope.equals.is_bound(scope.columns[alias])
                        for alias in aliases
                        if alias in scope.columns
                    )
            if (target.name or _last_name(value)) == WORKSPACE:
                column = self._column(value, scope)
                return column is not None and scope.equals.is_bound(column)
        return False


def _from(node: Any) -> list[Any]:
    if isinstance(node, ast.UpdateStmt):
        return [node.relation, *(node.fromClause or ())]
    if isinstance(node, ast.DeleteStmt):
        return [node.relation, *(node.usingClause or ())]
    return list(node.fromClause or ())


def _is_star(value: Any) -> bool:
    return isinstance(value, ast.ColumnRef) and isinstance((value.fields or ("",))[-1], ast.A_Star)


def _parts(node: Any) -> list[Any]:
    return list(node.args or ()) if isinstance(node, ast.RowExpr) else [node]


def _last_name(value: Any) -> str | None:
    while isinstance(value, ast.TypeCast):
        value = value.arg
    return getattr((value.fields or ("",))[-1], "sval", None) if isinstance(value, ast.ColumnRef) else None


def _gives_workspace(query: Any) -> bool:
    if query.larg is not None:
        return _gives_workspace(query.larg)
    return any(
        (target.name or _last_name(target.val)) == WORKSPACE or _is_star(target.val)
        for target in query.targetList or ()
    )


def _place_of_workspace(query: Any) -> int | None:
    for place, target in enumerate(query.targetList or ()):
        if (target.name or _last_name(target.val)) == WORKSPACE:
            return place
    return None


def _walk(node: Any) -> Iterator[Any]:
    """A node and all below it."""
    if isinstance(node, tuple | list):
        for one in node:
            yield from _walk(one)
    elif isinstance(node, ast.Node):
        yield node
        for name in node:
            yield from _walk(getattr(node, name))


def _own_sublinks(node: Any, inside_from: set[int]) -> Iterator[Any]:
    """The selects in a statement's own expressions, without those that stand in `with` or `from`, or in one another."""
    if isinstance(node, tuple | list):
        for one in node:
            yield from _own_sublinks(one, inside_from)
    elif isinstance(node, ast.SubLink):
        yield node.subselect
        yield from _own_sublinks(node.testexpr, inside_from)
    elif isinstance(node, ast.Node) and not isinstance(node, ast.WithClause) and id(node) not in inside_from:
        for name in node:
            yield from _own_sublinks(getattr(node, name), inside_from)
