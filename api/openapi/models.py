"""JSON Schemas of the types that requests are parsed with and answers are made of, as pydantic gives them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

REF = "#/components/schemas/{model}"


class _Plain(GenerateJsonSchema):
    """Without what pydantic adds of its own: titles made from names, and null as the default of what may be absent."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


class Models:
    """The schemas of some types, and the components that they refer to.

    `taken` are types of what comes in, `given` of what goes out. Raises ValueError when two of them share a name.
    """

    def __init__(self, taken: Iterable[Any], given: Iterable[Any]) -> None:
        wanted: dict[tuple[str, Any], JsonSchemaMode] = {("in", one): "validation" for one in taken}
        wanted |= {("out", one): "serialization" for one in given}
        schemas, definitions = TypeAdapter.json_schemas(
            [(key, mode, TypeAdapter(key[1])) for key, mode in wanted.items()],
            ref_template=REF,
            schema_generator=_Plain,
        )
        self._schemas = {key: schema for (key, _), schema in schemas.items()}
        self.components: dict[str, JsonSchemaValue] = dict(sorted(definitions.get("$defs", {}).items()))
        for name, schema in self.components.items():
            if "__" in name or "-" in name:
                raise ValueError(f"{name}: two types of the wire have this name; give one of them another")
            schema.pop("title", None)

    def taken(self, kind: Any) -> JsonSchemaValue:
        return self._schemas["in", kind]

    def given(self, kind: Any) -> JsonSchemaValue:
        return self._schemas["out", kind]
