await client.runs.cancel(thread["thread_id"], run["run_id"], action="rollback", wait=True)

try:
    await client.runs.get(thread["thread_id"], run["run_id"])
except Exception:
    print("Run was correctly deleted")
