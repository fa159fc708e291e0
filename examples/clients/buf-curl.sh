#!/usr/bin/env bash
# The calls of the cancel guide from the command line. `buf curl` needs no schema: the server describes itself (reflection).
#
#   npm start                                                   in one terminal
#   bash examples/clients/buf-curl.sh [http://127.0.0.1:2024]   in another
#
# Threads and runs are named by UUIDs that the client may choose, as here, so that no answer has to be taken apart.
set -eu
PATH=$(dirname "$0")/../../node_modules/.bin:$PATH # where `npm install` has put buf
server=${1:-http://127.0.0.1:2024}
threads=$server/reins.v1.ThreadService
runs=$server/reins.v1.RunService
uuid() { node --print 'crypto.randomUUID()'; }

echo "== What can be called"
buf curl --list-methods "$server"

echo "== Create a thread"
thread=$(uuid)
buf curl "$threads/CreateThread" -d @- <<END
{"thread_id": "$thread", "metadata": {"example": "buf curl"}}
END

echo "== Create a run and stream its events until it ends"
buf curl "$runs/StreamRun" -d @- <<END
{"create": {"thread_id": "$thread", "spec": {
  "assistant_id": "agent", "stream_modes": ["STREAM_MODE_UPDATES"],
  "input": {"value": {"messages": [{"role": "user", "content": "Summarize the docs"}], "steps": 1}}
}}}
END

echo "== Create a run, and look at the beginning of its stream (leaving it does not stop the run)"
run=$(uuid)
buf curl "$runs/CreateRun" -d @- <<END
{"thread_id": "$thread", "run_id": "$run", "spec": {
  "assistant_id": "agent", "stream_modes": ["STREAM_MODE_UPDATES"],
  "input": {"value": {"messages": [{"role": "user", "content": "Long task"}], "steps": 50}}
}}
END
buf curl "$runs/JoinRunStream" -d @- <<END | head -n 30
{"thread_id": "$thread", "run_id": "$run"}
END

echo "== Cancel with interrupt (the default) and wait until the run has really stopped"
buf curl "$runs/CancelRun" -d @- <<END
{"thread_id": "$thread", "run_id": "$run", "reason": "changed my mind", "wait": true}
END

echo "== The run is still there, INTERRUPTED"
buf curl "$runs/GetRun" -d @- <<END
{"thread_id": "$thread", "run_id": "$run"}
END

echo "== So is what its completed steps have made of the thread"
buf curl "$threads/GetThreadState" -d @- <<END
{"thread_id": "$thread"}
END
buf curl "$threads/ListThreadHistory" -d @- <<END
{"thread_id": "$thread", "limit": 3, "omit_values": true}
END

echo "== Cancel with rollback: the run and all that it stored are removed"
run=$(uuid)
buf curl "$runs/CreateRun" -d @- <<END
{"thread_id": "$thread", "run_id": "$run", "spec": {
  "assistant_id": "agent",
  "input": {"value": {"messages": [{"role": "user", "content": "Long task"}]}}
}}
END
buf curl "$runs/CancelRun" -d @- <<END
{"thread_id": "$thread", "run_id": "$run", "action": "CANCEL_ACTION_ROLLBACK", "wait": true}
END
buf curl "$runs/GetRun" -d @- <<END || echo "The run is gone."
{"thread_id": "$thread", "run_id": "$run"}
END

echo "== Cancel many: these runs of a thread"
run1=$(uuid)
run2=$(uuid)
for run in "$run1" "$run2"; do
  buf curl "$runs/CreateRun" -d @- <<END
{"thread_id": "$thread", "run_id": "$run", "spec": {
  "assistant_id": "agent",
  "input": {"value": {"messages": [{"role": "user", "content": "Long task"}]}}
}}
END
done
buf curl "$runs/CancelRuns" -d @- <<END
{"runs": {"thread_id": "$thread", "run_ids": ["$run1", "$run2"]}, "wait": true}
END

echo "== Cancel many: all runs of the thread that wait or execute (without thread_id: of all threads)"
run=$(uuid)
buf curl "$runs/CreateRun" -d @- <<END
{"thread_id": "$thread", "run_id": "$run", "spec": {
  "assistant_id": "agent",
  "input": {"value": {"messages": [{"role": "user", "content": "Long task"}]}}
}}
END
buf curl "$runs/CancelRuns" -d @- <<END
{"filter": {"status": "LIVE_RUN_STATUS_ALL", "thread_id": "$thread"}, "wait": true}
END

echo "== Cancel on disconnect: the run stops when its watcher leaves, here after 60 lines, elsewhere with Ctrl-C"
run=$(uuid)
buf curl "$runs/StreamRun" -d @- <<END | head -n 60
{"on_disconnect": "ON_DISCONNECT_CANCEL", "create": {"thread_id": "$thread", "run_id": "$run", "spec": {
  "assistant_id": "agent", "stream_modes": ["STREAM_MODE_MESSAGES_TUPLE"],
  "input": {"value": {"messages": [{"role": "user", "content": "Long task"}]}}
}}}
END
buf curl "$runs/JoinRun" -d @- <<END
{"thread_id": "$thread", "run_id": "$run", "omit_values": true}
END
