await client.runs.join(
    thread["thread_id"],
    run["run_id"],
    on_disconnect="cancel",
)
