"""Assistants: those of the graphs, and configured ones."""

from checks import ask, contents, equal, fails, script
from langgraph_sdk.errors import NotFoundError


async def main(client):
    assistants = client.assistants
    graphs = await assistants.search(graph_id="agent")
    equal([one["graph_id"] for one in graphs], ["agent"])
    agent = await assistants.get(graphs[0]["assistant_id"])
    equal(agent, graphs[0])
    equal((await assistants.get("agent"))["assistant_id"], agent["assistant_id"])
    equal({one["graph_id"] for one in await assistants.search(limit=100)} >= {"agent", "approval", "team"}, True)
    page = await assistants.search(limit=1, response_format="object")
    equal((len(page["assistants"]), page["next"]), (1, "1"))

    graph = await assistants.get_graph("agent")
    equal({node["id"] for node in graph["nodes"]}, {"__start__", "model", "tools", "__end__"})
    equal({"source": "tools", "target": "model"} in graph["edges"], True)
    drawn = await assistants.get_graph("team", xray=True)
    equal(len(drawn["nodes"]) > len((await assistants.get_graph("team"))["nodes"]), True)
    schemas = await assistants.get_schemas("agent")
    equal((schemas["graph_id"], "messages" in schemas["input_schema"]["properties"]), ("agent", True))

    made = await assistants.create("agent", name="Mine", metadata={"owner": "me"}, description="For a test")
    equal((made["graph_id"], made["name"], made["version"]), ("agent", "Mine", 1))
    changed = await assistants.update(made["assistant_id"], name="Ours")
    equal((changed["name"], changed["version"], changed["metadata"]["owner"]), ("Ours", 2, "me"))
    equal(await assistants.count(metadata={"owner": "me"}), 1)
    equal([one["version"] for one in await assistants.get_versions(made["assistant_id"])], [2])
    values = await client.runs.wait(None, made["assistant_id"], input=ask("Whose?"))
    equal(contents(values)[0], "Whose?")
    await assistants.delete(made["assistant_id"])
    await fails(NotFoundError, assistants.get(made["assistant_id"]))


script(main)
