run1 = await client.runs.create(
    thread["thread_id"],
    assistant_id,
    input={"messages": [{"role": "user", "content": "First request"}]},
)
thread2 = await client.threads.create()
run2 = await client.runs.create(
    thread2["thread_id"],
    assistant_id,
    input={"messages": [{"role": "user", "content": "Second request"}]},
)

await client.runs.cancel_many(
    status="running",
)

await client.runs.join(thread2["thread_id"], run2["run_id"])

run_after = await client.runs.get(thread["thread_id"], run1["run_id"])
print(run_after["status"])
run_after2 = await client.runs.get(thread2["thread_id"], run2["run_id"])
print(run_after2["status"])
