"""A part is a frozen object whose fields are its hyperparameters; on a shelf (a folder) the file names the part."""

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points, requires
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from affina.core.errors import Refused, nearest


class Part(BaseModel):
    """A named piece of a recipe. Fields are hyperparameters, methods are behaviour; construction does no work."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @property
    def name(self) -> str:
        """The file's name is the part's name."""
        return type(self).__module__.rpartition(".")[2]

    def changed(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as plain data."""
        return self.model_dump(mode="json", exclude_defaults=True)


P = TypeVar("P", bound=Part)


class InvalidPart(ValueError):
    """A part's own validation error, carried through pydantic so that its inner locations survive."""

    def __init__(self, kind: type[BaseModel], error: ValidationError) -> None:
        self.kind, self.error = kind, error
        super().__init__(str(error))


class Shelf(Generic[P]):
    """One kind of part in one package folder, listed without importing and imported one by one.

    Used as an annotation (`Annotated[Schedule, schedules]`) it makes a recipe field that accepts a name, a mapping
    with a `name`, or a built part. Third parties add parts through the entry-point group `affina.<shelf>`.
    """

    def __init__(self, kind: type[P], package: str) -> None:
        self.kind, self.package = kind, package
        self.title = package.rpartition(".")[2]
        self.noun = kind.__name__.lower()

    def names(self) -> list[str]:
        """Every part's name, sorted; nothing but the (empty) package itself is imported."""
        folder = importlib.import_module(self.package)
        own = {module.name for module in pkgutil.iter_modules(folder.__path__) if not module.name.startswith("_")}
        return sorted(own | set(_third_party(self.title, tuple(sys.path))))

    def find(self, name: str) -> type[P]:
        """The part's class. Raises Refused for an unknown name or a missing optional library."""
        if name not in self.names():
            raise Refused(f"no {self.noun} is called '{name}'", instead=nearest(name, self.names()))
        third_party = _third_party(self.title, tuple(sys.path))
        if name in third_party:
            loaded = third_party[name].load()
            assert isinstance(loaded, type) and issubclass(loaded, self.kind), f"{name} is not a {self.kind.__name__}"
            return loaded
        try:
            module = importlib.import_module(f"{self.package}.{name}")
        except ModuleNotFoundError as error:
            raise _missing_library(f"{self.noun} '{name}'", error) from error
        return next(
            member
            for member in vars(module).values()
            if inspect.isclass(member) and issubclass(member, self.kind) and member.__module__ == module.__name__
        )

    def build(self, spec: Any) -> P:
        """A part from its name, from a mapping {name, fields…}, or itself. Raises ValueError with inner locations."""
        if isinstance(spec, self.kind):
            return spec
        fields: dict[str, Any] = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
        name = fields.pop("name", None)
        if not isinstance(name, str):
            raise ValueError(f"a {self.noun} is a name, or a mapping with 'name'; known: {', '.join(self.names())}")
        try:
            kind = self.find(name)
        except Refused as error:
            raise ValueError(str(error)) from error
        try:
            return kind.model_validate(fields)
        except ValidationError as error:
            raise InvalidPart(kind, error) from error

    def dump(self, part: P) -> str | dict[str, Any]:
        """The shortest spec that builds the same part again."""
        return {"name": part.name, **part.changed()} if part.changed() else part.name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self.dump)
        return core_schema.no_info_plain_validator_function(self.build, serialization=written)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        full = []
        for name in self.names():
            part = self.find(name).model_json_schema()
            part["properties"] = {"name": {"const": name}, **part.get("properties", {})}
            full.append({**part, "required": ["name", *part.get("required", [])]})
        return {"oneOf": [{"enum": self.names()}, *full]}


@cache
def _third_party(shelf: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Entry points of this shelf, by name."""
    return {entry.name: entry for entry in _installed(path).select(group=f"affina.{shelf}")}


@cache
def _installed(path: tuple[str, ...]) -> Any:
    """Every entry point (its class is another from Python 3.12 on); looked up once per import path, since it reads
    every installed package's metadata."""
    return entry_points()


def _missing_library(what: str, error: ModuleNotFoundError) -> Refused:
    library = (error.name or "").partition(".")[0]
    declared = [line for line in requires("affina") or [] if re.match(rf"{re.escape(library)}\b", line, re.IGNORECASE)]
    extra = next((found[1] for line in declared if (found := re.search(r"extra == ['\"](\w+)['\"]", line))), None)
    return Refused(f"{what} needs {library}", instead=f"pip install '{f'affina[{extra}]' if extra else library}'")
