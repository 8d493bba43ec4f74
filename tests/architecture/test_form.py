"""How the source reads: sizes, names, docstrings, errors. More than a limit means that a concept is missing."""

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from source_files import PACKAGE, ROOT, modules, tree

from affina.core.kinds import SHELVES
from affina.core.recipe import Recipe

FILE_LINES, FUNCTION_LINES, PARAMETERS, PART_FIELDS, SECTIONS = 300, 40, 6, 10, 10
LONGER_FILES = {
    "core/kinds.py": "the one file that is read first: every interface and record in one place, by design",
}
MORE_PARAMETERS = {"forest_attention": "the signature with which transformers calls an attention"}
WORK_AT_IMPORT = {
    "AttentionInterface.register(NAME, forest_attention)": "transformers finds an attention by name: a dict entry"
}
FORBIDDEN_ENDS = ("Manager", "Handler", "Helper", "Helpers", "Util", "Utils", "Impl")
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|helpers?|legacy|misc|stuff|data2|v2|process|new_.*)$")
PARTS = [(title, name) for title, shelf in SHELVES.items() for name in shelf.names()]

each_module = pytest.mark.parametrize("path", modules().values(), ids=[*modules()])


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@each_module
def test_a_file_has_at_most_300_lines(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert (lines > FILE_LINES) == (place in LONGER_FILES), f"{place}: {lines} lines"


@each_module
def test_a_function_has_at_most_40_lines_and_6_parameters(path: Path) -> None:
    for function in functions(path):
        assert function.end_lineno is not None
        lines = function.end_lineno - function.lineno + 1
        assert lines <= FUNCTION_LINES, f"{path.name}:{function.lineno}: {function.name} has {lines} lines"
        given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        count = len([argument for argument in given if argument.arg not in ("self", "cls")])
        assert count <= PARAMETERS or function.name in MORE_PARAMETERS, f"{path}: {function.name}: {count}"


@each_module
def test_a_module_says_what_it_promises(path: Path) -> None:
    assert ast.get_docstring(tree(path)), f"{path} has no docstring"


@each_module
def test_no_error_is_swallowed(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            broad = node.type is None or re.search(r"\b(Base)?Exception\b", caught)
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            assert raises or not broad, f"{path}:{node.lineno}: catches {caught} and goes on"


@each_module
def test_no_name_says_nothing(path: Path) -> None:
    assert not FORBIDDEN_NAMES.search(path.stem), path
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            assert not node.name.endswith(FORBIDDEN_ENDS), f"{path}:{node.lineno}: {node.name}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert not FORBIDDEN_NAMES.search(node.name), f"{path}:{node.lineno}: {node.name}"


@each_module
def test_importing_a_module_does_no_work(path: Path) -> None:
    """At the top of a file stand definitions; a bare call there would be work."""
    for node in tree(path).body:
        bare = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
        loops = isinstance(node, ast.For | ast.While | ast.With | ast.Try)
        known = ast.unparse(node) in WORK_AT_IMPORT
        assert known or not (bare or loops), f"{path}:{node.lineno}: {ast.unparse(node)[:60]}"


@pytest.mark.parametrize(("shelf", "name"), PARTS)
def test_a_part_explains_itself_and_each_of_at_most_10_settings(shelf: str, name: str) -> None:
    part: Any = SHELVES[shelf].find(name)
    assert part.__doc__ and part.__doc__.strip(), f"{shelf}/{name} has no docstring"
    assert len(part.model_fields) <= PART_FIELDS
    for field, info in part.model_fields.items():
        assert info.description, f"{shelf}/{name}.{field} has no docstring under it"
    own = [each for each in vars(__import__(part.__module__, fromlist=["_"])).values() if isinstance(each, type)]
    kinds = [each for each in own if issubclass(each, SHELVES[shelf].kind) and each.__module__ == part.__module__]
    assert kinds == [part], f"{shelf}/{name}: one file, one part"


def test_a_recipe_has_at_most_ten_sections() -> None:
    assert len([name for name, field in Recipe.model_fields.items() if not field.exclude]) <= SECTIONS


def project_files() -> list[Path]:
    """Every text file of the project that git would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout: what belongs to the project is not known")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_the_shared_data_is_known_to_one_test_file_only() -> None:
    variable = "AFFINA_" + "SHARED"
    knowing = [path for path in project_files() if variable.encode() in path.read_bytes()]
    assert {path.relative_to(ROOT).as_posix() for path in knowing} <= {"tests/shared_data.py"}


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
