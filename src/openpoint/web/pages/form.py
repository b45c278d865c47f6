"""A form made of the declared options of a study: fields, words, limits and groups are those of the declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui

from openpoint.options import FIRST, Option, default_of
from openpoint.studies.catalog import Study
from openpoint.web.pages.frame import words
from openpoint.web.request import is_output, options


def called(name: str, told: Option) -> str:
    """How an option is called, in the words of the command line."""
    return (told.flag or name).replace("-", " ").replace("_", " ")


class Form:
    """The fields of a study.

    Attributes:
        fields: by the names of the options.
        names: the options that are lists of names, with their declaration.
    """

    def __init__(self, study: Study, files: list[str], given: Mapping[str, Any], changed: Callable[[], object]) -> None:
        """`files`: names of uploaded files. `given`: values to begin with. `changed`: called when names are."""
        self.fields: dict[str, Any] = {}
        self.names: dict[str, Option] = {}
        self._told = {name: told for name, told, _ in options(study)}
        self._fields = {name: each for name, _, each in options(study)}
        self._files, self._changed = files, changed
        groups: dict[str, list[tuple[str, Option]]] = {}
        for name, told in self._told.items():
            group = "" if told.positional else FIRST if told.group == FIRST else told.group
            groups.setdefault(group, []).append((name, told))
        for group in ("", FIRST):
            self._group(groups.pop(group, []), given)
        for group, members in groups.items():
            opened = any(given.get(name) is not None for name, _ in members)
            with ui.expansion(group, value=opened).classes("group"):
                self._group(members, given)

    def values(self) -> dict[str, Any]:
        """What is given, by the names of options; what is left as it is by default is left out."""
        found: dict[str, Any] = {}
        for name, field in self.fields.items():
            told, value = self._told[name], field.value
            if is_output(told):
                value = f"{name}.gz" if value else None
            elif told.kind in ("number", "whole") and value is not None:
                value = int(value) if told.kind == "whole" else float(value)
            elif isinstance(value, str):
                value = value.strip()
            if value not in (None, "", []) and value != default_of(self._fields[name], told):
                found[name] = value
        return found

    def _group(self, members: list[tuple[str, Option]], given: Mapping[str, Any]) -> None:
        for name, told in members:
            with ui.element("div").classes("field"):
                self.fields[name] = self._field(name, told, given.get(name))
                words(told.sentence, "hint")

    def _field(self, name: str, told: Option, given: Any) -> Any:
        """The field of an option, with its value."""
        default = default_of(self._fields[name], told)
        value = default if given is None else given
        unit = f" ({told.unit.lower()})" if told.unit and told.kind in ("number", "whole") else ""
        label = f"{called(name, told)}{unit}{' *' if told.positional else ''}"
        field: Any
        if is_output(told):
            field = ui.checkbox(label, value=given is not None)
        elif told.kind == "flag" and default is not None:
            field = ui.checkbox(label, value=bool(value))
        elif told.kind == "flag":
            field = ui.select({True: "yes", False: "no"}, label=label, value=value, clearable=True)
        elif told.choices:
            field = ui.select(list(told.choices), label=label, value=value, clearable=default is None)
        elif told.kind == "names":
            self.names[name] = told
            field = ui.input_chips(label, value=list(given or ()), on_change=self._changed)
        elif told.kind == "path":
            field = ui.select(self._files, label=label, value=value if value in self._files else None, clearable=True)
        elif told.kind in ("number", "whole"):
            step = 1 if told.kind == "whole" else None
            field = ui.number(label, value=value, min=told.least, max=told.most, step=step)
        else:
            field = ui.input(label, value="" if value is None else str(value), autocomplete=self._files)
        return field.mark(name)
