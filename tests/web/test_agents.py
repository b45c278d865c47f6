"""What an agent is served: checks, answers, explanations and proofs, and no file that was not named."""

import asyncio
import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

import openpoint
from openpoint.web.agents import Agents
from openpoint.web.desk import Desk

mcp = pytest.importorskip("mcp")


def test_an_agent_asks_and_is_told_and_shown_the_proof(desk: Desk, looked: Path, tmp_path: Path) -> None:
    copytree(looked, desk.folder, dirs_exist_ok=True)
    (tmp_path / "faulty.m").write_text("no case", encoding="utf-8")

    async def story() -> None:
        server = Agents(desk, [str(tmp_path / "faulty.m")]).server()
        async with mcp.Client(server) as agent:

            async def told(tool: str, **given: Any) -> Any:
                found = await agent.call_tool(tool, given)
                return (found.is_error, found.content[0].text)

            tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
            assert set(tools) == {"check", "reconfigure", "explain", "verify"}
            assert "locked_open: " in tools["reconfigure"].description
            failed, text = await told("check", grid="faulty.m")
            assert (failed, json.loads(text)["sound"]) == (False, False)
            assert json.loads((await told("check", grid="civanlar16"))[1])["sound"]
            for path in ("/etc/passwd", "../x.m", str(tmp_path)):
                failed, text = await told("check", grid=path)
                assert failed
                assert "no grid is open or built in" in text
            failed, text = await told("reconfigure", grid="civanlar16", options={"vmin": 1})
            assert failed
            assert "no option here" in text
            _, text = await told("reconfigure", grid="civanlar16", options={"locked_open": ["10-14"]})
            answer = json.loads(text)
            own = openpoint.reconfigure("civanlar16", locked_open=["10-14"])
            assert (answer["loss_kw"], answer["open_branches"]) == (own.loss_kw, list(own.open_branches))
            assert "openpoint reconfigure" in (await told("explain", run=answer["run"]))[1]
            _, text = await told("verify", run=answer["run"])
            assert json.loads(text)["study"] == "claim"
            assert json.loads(text)["ended"].startswith("the certificate proves")

    with desk.runs:
        asyncio.run(story())
