const joinStreamResponse = client.runs.joinStream(
  thread["thread_id"],
  run["run_id"],
  { cancelOnDisconnect: true }
);
for await (const chunk of joinStreamResponse) {
  console.log(chunk);
}
