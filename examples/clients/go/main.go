// Runs from Go with connect-go: create one, watch it, and stop it for real.
//
//	npm start                           in one terminal
//	go run . [http://127.0.0.1:2024]    in another, in this folder, once the stubs are in gen/ (see ../README.md)
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"connectrpc.com/connect"

	reinsv1 "example.com/reins-client/gen/reins/v1"
	"example.com/reins-client/gen/reins/v1/reinsv1connect"
)

func main() {
	url := "http://127.0.0.1:2024"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	if err := run(context.Background(), url); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url string) error {
	// HTTP/2 without TLS, so that one connection carries the stream and the cancel.
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	// gRPC; without the option it speaks Connect, which the same port serves.
	runs := reinsv1connect.NewRunServiceClient(client, url, connect.WithGRPC())
	threads := reinsv1connect.NewThreadServiceClient(client, url, connect.WithGRPC())

	created, err := threads.CreateThread(ctx, connect.NewRequest(&reinsv1.CreateThreadRequest{}))
	if err != nil {
		return err
	}
	threadID := created.Msg.GetThread().GetThreadId()

	fmt.Println("== Create a run")
	input, err := json.Marshal(map[string]any{
		"messages": []any{map[string]string{"role": "user", "content": "Is the early bird right?"}},
		"delay_ms": 40,
	})
	if err != nil {
		return err
	}
	answer, err := runs.CreateRun(ctx, connect.NewRequest(&reinsv1.CreateRunRequest{
		ThreadId: threadID,
		Spec: &reinsv1.RunSpec{
			AssistantId: "agent",
			Input:       &reinsv1.Payload{Encoding: &reinsv1.Payload_Json{Json: input}},
			StreamModes: []reinsv1.StreamMode{reinsv1.StreamMode_STREAM_MODE_UPDATES},
		},
	}))
	if err != nil {
		return err
	}
	runID := answer.Msg.GetRun().GetRunId()
	fmt.Printf("run %s is %s\n", runID, answer.Msg.GetRun().GetStatus())

	fmt.Println("== Watch it, and stop it after its first step")
	stream, err := runs.JoinRunStream(ctx, connect.NewRequest(&reinsv1.JoinRunStreamRequest{
		ThreadId:      threadID,
		RunId:         runID,
		PayloadFormat: reinsv1.PayloadFormat_PAYLOAD_FORMAT_JSON,
	}))
	if err != nil {
		return err
	}
	defer stream.Close()
	asked := false
	for stream.Receive() {
		for _, event := range stream.Msg().GetEvents() {
			switch what := event.GetEvent().(type) {
			case *reinsv1.RunEvent_Output:
				fmt.Printf("%d %s %.60s\n", event.GetSequence(), what.Output.GetName(), what.Output.GetData().GetJson())
				if asked {
					continue
				}
				asked = true
				if err := cancel(ctx, runs, threadID, runID); err != nil {
					return err
				}
			case *reinsv1.RunEvent_Ended:
				fmt.Printf("the stream ends with %s\n", what.Ended.GetStatus())
			}
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}

	fmt.Println("== Cancel it with another action: it has ended")
	_, err = runs.CancelRun(ctx, connect.NewRequest(&reinsv1.CancelRunRequest{
		ThreadId: threadID,
		RunId:    runID,
		Action:   reinsv1.CancelAction_CANCEL_ACTION_ROLLBACK,
	}))
	var failed *connect.Error
	if !errors.As(err, &failed) {
		return fmt.Errorf("the cancel should have been refused, and not answered with %v", err)
	}
	fmt.Println(failed.Code())
	return nil
}

// With Wait the answer comes when no node function of the run executes any more.
func cancel(ctx context.Context, runs reinsv1connect.RunServiceClient, threadID, runID string) error {
	answer, err := runs.CancelRun(ctx, connect.NewRequest(&reinsv1.CancelRunRequest{
		ThreadId: threadID,
		RunId:    runID,
		Reason:   "seen enough",
		Wait:     true,
	}))
	if err != nil {
		return err
	}
	fmt.Printf("the cancel answers %s, the run is %s\n", answer.Msg.GetOutcome(), answer.Msg.GetRun().GetStatus())
	return nil
}
