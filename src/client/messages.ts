/** The generated messages, enums and services that requests and answers are made of. */
export * from "../../gen/reins/v1/assistant_pb.ts";
export * from "../../gen/reins/v1/assistant_service_pb.ts";
export * from "../../gen/reins/v1/checkpoint_pb.ts";
export * from "../../gen/reins/v1/error_details_pb.ts";
export * from "../../gen/reins/v1/operation_service_pb.ts";
export * from "../../gen/reins/v1/payload_pb.ts";
export * from "../../gen/reins/v1/run_event_pb.ts";
export * from "../../gen/reins/v1/run_pb.ts";
export * from "../../gen/reins/v1/run_service_pb.ts";
export * from "../../gen/reins/v1/thread_pb.ts";
export * from "../../gen/reins/v1/thread_service_pb.ts";
