"""A configuration file as the user wrote it: what YAML would pass over in silence is refused."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from rnalm.errors import RnalmError

#: What YAML makes of plain words that are meant as names, and what numbers look like that it does not count in tens.
KINDS = {"tag:yaml.org,2002:bool": "yes or no", "tag:yaml.org,2002:null": "nothing", "tag:yaml.org,2002:timestamp": "a date"}
UNUSUAL = re.compile(r"[-+]?0[0-7_]+|.*:.*")

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: str | Path) -> Any:
    """Read a YAML or JSON file.

    Parameters
    ----------
    path : str or path
        The file.

    Raises
    ------
    RnalmError
        If it cannot be read, a key stands twice in one section, or a name is one that YAML takes for something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        is_json, content = _as_json(text)
        # JSON may have tabs between its parts, and YAML may not.
        loader = LOADER(text.replace("\t", " ") if is_json else text)
        try:
            root = loader.get_single_node()
            _check(root, str(path), "", set())
            # YAML would take the number 1e-4 for a text.
            return content if is_json else loader.construct_document(root) if root else None
        finally:
            loader.dispose()
    except FileNotFoundError:
        raise RnalmError(f"{path}: no such file") from None
    except OSError as error:
        raise RnalmError(f"{path}: cannot be read ({error.strerror}); expected a JSON or YAML file") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        kind = "JSON" if str(path).endswith(".json") else "YAML"
        raise RnalmError(f"{path}: cannot be read as {kind} ({' '.join(str(error).split())})") from None


def _as_json(text: str) -> tuple[bool, Any]:
    """Say whether a text is JSON, and give what it says."""
    try:
        return True, json.loads(text)
    except ValueError:
        return False, None


def _check(node: Any, name: str, place: str, seen: set[int]) -> None:
    """Refuse, in a node and all below it, keys that stand twice and scalars that mean something else than they look like."""
    if id(node) in seen:  # as an alias can make it
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _check(item, name, f"{place}.{number}".lstrip("."), seen)
    elif isinstance(node, yaml.ScalarNode):
        _check_scalar(node, name, place, key=False)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            inside = f"{place}.{key.value}".lstrip(".")
            if isinstance(key, yaml.ScalarNode):
                _check_scalar(key, name, inside, key=True)
                line, before = key.start_mark.line + 1, lines.get((key.tag, key.value))
                if before is not None:
                    raise RnalmError(f"{name}: key '{inside}' stands twice, in lines {before} and {line}; expected it once")
                lines[key.tag, key.value] = line
            _check(value, name, inside, seen)


def _check_scalar(node: yaml.ScalarNode, name: str, place: str, key: bool) -> None:
    """Refuse names that YAML reads as yes or no, as nothing or as a date, and numbers that it does not count in tens."""
    read_as = KINDS.get(node.tag) if key or node.tag.endswith("timestamp") else None
    if not node.style and node.tag.endswith((":int", ":float")) and UNUSUAL.fullmatch(node.value):
        read_as = f"{yaml.safe_load(node.value)}"
    if read_as is not None:
        found = f"found {node.value or 'nothing'}, which YAML reads as {read_as}"
        raise RnalmError(f'{name}: line {node.start_mark.line + 1}: {place}: {found}; put it in quotes: "{node.value}"')
