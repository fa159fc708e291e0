import type { DescFile, DescMessage, DescService } from "@bufbuild/protobuf";
import { createRegistry, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.ts";
import type { ServerReflectionRequest } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";

type Question = ServerReflectionRequest["messageRequest"];

/**
 * Registers gRPC server reflection, v1 and v1alpha, whose messages are the same: clients such as `buf curl` and grpcurl learn
 * the schema from it.
 *
 * @param services what is listed. Their files are served with all that these import.
 * @param extraFiles files that no service imports, for example those of error details.
 */
export function registerReflection(
  router: ConnectRouter,
  services: readonly DescService[],
  extraFiles: readonly DescFile[] = [],
): void {
  const listed = [...services, ServerReflection, ServerReflectionV1Alpha];
  const answer = createAnswers(listed, [file_google_rpc_error_details, ...extraFiles]);
  const serve = (service: typeof ServerReflection) =>
    router.service(service, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          yield {
            validHost: request.host,
            originalRequest: request,
            messageResponse: answer(request.messageRequest) ?? notFound(request.messageRequest),
          };
        }
      },
    });
  serve(ServerReflection);
  // The two differ in nothing but the name of their package.
  serve(ServerReflectionV1Alpha as unknown as typeof ServerReflection);
}

function createAnswers(services: readonly DescService[], extraFiles: readonly DescFile[]) {
  const files = withImports([...services.map((service) => service.file), ...extraFiles]);
  const registry = createRegistry(...files.values());

  const fileAnswer = (file: DescFile | undefined) =>
    file && {
      case: "fileDescriptorResponse" as const,
      value: { fileDescriptorProto: [toBinary(FileDescriptorProtoSchema, file.proto)] },
    };
  /** A type by its name, or the type that holds the field, method or enum value of that name. */
  const fileOfSymbol = (symbol: string) =>
    (registry.get(symbol) ?? registry.get(symbol.slice(0, Math.max(symbol.lastIndexOf("."), 0))))?.file;
  const extensionNumbers = (extendee: DescMessage) =>
    [...registry].flatMap((desc) =>
      desc.kind === "extension" && desc.extendee.typeName === extendee.typeName ? [desc.number] : [],
    );

  return (question: Question) => {
    switch (question.case) {
      case "listServices":
        return {
          case: "listServicesResponse" as const,
          value: { service: services.map((service) => ({ name: service.typeName })) },
        };
      case "fileByFilename":
        return fileAnswer(files.get(question.value));
      case "fileContainingSymbol":
        return fileAnswer(fileOfSymbol(question.value));
      case "fileContainingExtension": {
        const extendee = registry.getMessage(question.value.containingType);
        return fileAnswer(extendee && registry.getExtensionFor(extendee, question.value.extensionNumber)?.file);
      }
      case "allExtensionNumbersOfType": {
        const extendee = registry.getMessage(question.value);
        return (
          extendee && {
            case: "allExtensionNumbersResponse" as const,
            value: { baseTypeName: question.value, extensionNumber: extensionNumbers(extendee) },
          }
        );
      }
      default:
        return undefined;
    }
  };
}

/** The files and all that they import, by file name. */
function withImports(roots: readonly DescFile[]): Map<string, DescFile> {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile) => {
    if (!files.has(file.proto.name)) {
      files.set(file.proto.name, file);
      file.dependencies.forEach(add);
    }
  };
  roots.forEach(add);
  return files;
}

function notFound(question: Question) {
  return {
    case: "errorResponse" as const,
    value: {
      errorCode: Code.NotFound,
      errorMessage: `There is nothing to answer to ${question.case ?? "no question"}.`,
    },
  };
}
