"""The README as a package index shows it: its relative links become links into the repository.

An index shows the README without the files beside it, so that relative links lead nowhere there. hatchling calls
`Readme` in every build. Run as a script, it refuses what an index should not get yet.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?![a-z]+:|#)(?P<target>[^)\s]+)\)")
PRIVATE = "Private :: Do Not Upload"
NO_ADDRESS = """\
pyproject.toml names no address of the repository, without which the links of the README lead nowhere on a package
index. Add it, and take out the classifier "Private :: Do Not Upload", which makes an index refuse the upload:

    [project.urls]
    Repository = "https://github.com/OWNER/NAME"\
"""
STILL_PRIVATE = f'pyproject.toml has the classifier "{PRIVATE}", which makes an index refuse the upload: take it out'


class Readme(MetadataHookInterface):
    """hatchling's hook for the field `readme` of the metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the text of the README; without an address its links stay relative."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        if address := repository(metadata):
            text = absolute(text, address, f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def repository(project: dict[str, Any]) -> str:
    """The address of the repository in the table [project] of pyproject.toml; empty where none is given."""
    return str(project.get("urls", {}).get("Repository", "")).rstrip("/")


def absolute(markdown: str, address: str, tag: str) -> str:
    """The same text with links into the repository at a tag; pictures as files, in the paths of GitHub and GitLab."""

    def link(found: re.Match[str]) -> str:
        kind = "raw" if found["image"] else "blob"
        return f"{found['image']}[{found['text']}]({address}/{kind}/{tag}/{found['target']})"

    return _LINK.sub(link, markdown)


def fault(project: dict[str, Any]) -> str:
    """What stands against a release and what to do; empty where nothing does."""
    if not repository(project):
        return NO_ADDRESS
    return STILL_PRIVATE if PRIVATE in project.get("classifiers", []) else ""


if __name__ == "__main__":
    pyproject = tomllib.loads((Path(__file__).parent / "pyproject.toml").read_text(encoding="utf-8"))
    if said := fault(pyproject["project"]):
        sys.exit(f"make dist: {said}")
