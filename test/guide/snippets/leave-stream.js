const streamResponse = client.runs.stream(
  thread["thread_id"],
  assistantID,
  { input: { messages: [{ role: "user", content: "Long task" }] }, onDisconnect: "cancel" }
);
for await (const chunk of streamResponse) {
  console.log(chunk);
}
