import protobuf from 'protobufjs';

/*
 * OTLP's protobuf messages for logs, from opentelemetry-proto 1.7. OpenTelemetry's JavaScript package
 * (@opentelemetry/otlp-transformer) can write exports and read responses, but a receiver needs the opposite.
 * So the messages are described here, and protobufjs compiles them. Fields that are not described are
 * ignored.
 */
const { root } = protobuf.parse(`
  // proto3, except that invalid UTF-8 in a text does not refuse the record: its bytes become U+FFFD.
  edition = "2023";
  option features.field_presence = IMPLICIT;
  option features.utf8_validation = NONE;

  message ExportLogsServiceRequest { repeated ResourceLogs resource_logs = 1; }
  message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; }
  message ScopeLogs { InstrumentationScope scope = 1; repeated LogRecord log_records = 2; }

  message Resource { repeated KeyValue attributes = 1; }
  message InstrumentationScope { string name = 1; string version = 2; repeated KeyValue attributes = 3; }

  message LogRecord {
    fixed64 time_unix_nano = 1;
    int32 severity_number = 2;
    string severity_text = 3;
    AnyValue body = 5;
    repeated KeyValue attributes = 6;
    uint32 dropped_attributes_count = 7;
    fixed32 flags = 8;
    bytes trace_id = 9;
    bytes span_id = 10;
    fixed64 observed_time_unix_nano = 11;
    string event_name = 12;
  }

  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue {
    oneof value {
      string string_value = 1;
      bool bool_value = 2;
      int64 int_value = 3;
      double double_value = 4;
      ArrayValue array_value = 5;
      KeyValueList kvlist_value = 6;
      bytes bytes_value = 7;
    }
  }
  message ArrayValue { repeated AnyValue values = 1; }
  message KeyValueList { repeated KeyValue values = 1; }

  message ExportLogsServiceResponse { ExportLogsPartialSuccess partial_success = 1; }
  message ExportLogsPartialSuccess { int64 rejected_log_records = 1; string error_message = 2; }

  // google.rpc.Status, and the BadRequest in its details
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message BadRequest { repeated FieldViolation field_violations = 1; }
  message FieldViolation { string field = 1; string description = 2; }
`);

const request = root.lookupType('ExportLogsServiceRequest');
const response = root.lookupType('ExportLogsServiceResponse');
const status = root.lookupType('Status');
const badRequest = root.lookupType('BadRequest');

/** The deepest nesting of messages that protobufjs decodes. */
const DEEPEST = protobuf.Reader.recursionLimit;

/**
 * Says whether an export has more than `most` messages. It counts them without decoding: decoded, 16 MiB of
 * empty messages took a gigabyte and blocked the process for seven seconds.
 * @throws Error if the bytes are not protobuf
 */
export function hasMoreMessages(bytes: Uint8Array, most: number): boolean {
  if (bytes.length <= most) return false;
  return messagesIn(protobuf.Reader.create(bytes), request, bytes.length, most, 0) > most;
}

/** Counts a message and those within it, up to `most`. */
function messagesIn(
  reader: protobuf.Reader,
  type: protobuf.Type,
  end: number,
  most: number,
  depth: number,
): number {
  let count = 1;
  while (reader.pos < end && count <= most) {
    const tag = reader.uint32();
    const within = type.fieldsById[tag >>> 3]?.resolve().resolvedType;
    if ((tag & 7) === 2 && within instanceof protobuf.Type && depth < DEEPEST) {
      const length = reader.uint32();
      count += messagesIn(reader, within, reader.pos + length, most - count, depth + 1);
    } else reader.skipType(tag & 7);
  }
  return count;
}

/**
 * Decodes an export into the shape of OTLP's JSON, except that int64 are Longs and bytes are bytes. @throws
 * Error if it is not an export
 */
export function decodeExport(bytes: Uint8Array): unknown {
  return request.decode(bytes);
}

/** Encodes the answer to an export. `rejected` is null if all records were stored. */
export function encodeResponse(rejected: { count: number; message: string } | null): Uint8Array {
  const partialSuccess = rejected && {
    rejectedLogRecords: rejected.count,
    errorMessage: rejected.message,
  };
  return response.encode(partialSuccess ? { partialSuccess } : {}).finish();
}

/** The type of a detail that describes invalid data. */
export const BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest';

/** Encodes an error. `code` is a gRPC code. `violations` describe invalid data, if that is the reason. */
export function encodeStatus(
  code: number,
  message: string,
  violations: readonly { description: string }[] = [],
): Uint8Array {
  const value = badRequest.encode({ fieldViolations: violations }).finish();
  const details = violations.length > 0 ? [{ typeUrl: BAD_REQUEST, value }] : [];
  return status.encode({ code, message, details }).finish();
}
