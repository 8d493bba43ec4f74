"""affina's own source, parsed once: what the structural tests look at."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "affina"


@cache
def modules() -> dict[str, Path]:
    """Dotted name → file, for every module of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """Every module imported anywhere in a file, and whether only the type checker reads that import."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    for node, checked in _walk(tree(path), False):
        if isinstance(node, ast.Import):
            yield from ((alias.name, checked) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            known = modules()
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in known else str(node.module)), checked


def _walk(node: ast.AST, checked: bool) -> Iterator[tuple[ast.AST, bool]]:
    yield node, checked
    typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, checked or (typing_only and child in node.body))  # type: ignore[attr-defined]
