import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { OTLPLogExporter as JsonExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtobufExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { JsonLogsSerializer, ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import protobuf from 'protobufjs';
import { BufferFull, StoreUnavailable } from '../../../../ingest/outcome.ts';
import { type Stage, stage } from '../../stage.ts';

interface Emitted {
  body?: string;
  timestamp?: Date;
  severityNumber?: number;
  attributes?: Record<string, string | number>;
}

/** Makes log records with the SDK, before any exporter. */
async function logged(...records: Emitted[]) {
  const memory = new InMemoryLogRecordExporter();
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': 'checkout', 'host.name': 'web-17' }),
    processors: [new SimpleLogRecordProcessor({ exporter: memory })],
  });
  const logger = provider.getLogger('shop', '1.2.3');
  for (const record of records) logger.emit(record);
  await provider.forceFlush();
  return memory.getFinishedLogRecords();
}

const FORMS = {
  JSON: { Exporter: JsonExporter, serializer: JsonLogsSerializer, type: 'application/json' },
  protobuf: {
    Exporter: ProtobufExporter,
    serializer: ProtobufLogsSerializer,
    type: 'application/x-protobuf',
  },
} as const;

for (const [form, { Exporter, serializer, type }] of Object.entries(FORMS)) {
  describe(`POST /v1/logs from an OpenTelemetry SDK, in ${form}`, () => {
    let api: Stage;
    /** How the next appends fail, in order: before the events are stored, or after. */
    let failures: ('before' | 'after')[] = [];
    before(async () => {
      api = await stage({
        change: ({ ingest }) => ({
          ingest: {
            ...ingest,
            async accept(events) {
              const failure = failures.shift();
              if (failure === 'before') throw new BufferFull(1);
              const outcomes = await ingest.accept(events);
              if (failure === 'after') throw new StoreUnavailable('the connection broke after the commit');
              return outcomes;
            },
          },
        }),
      });
    });
    after(() => api.close());

    /** Exports records. Resolves with the SDK's result: 0 for success. */
    async function send(records: Awaited<ReturnType<typeof logged>>, options: object = {}): Promise<number> {
      const exporter = new Exporter({ url: `${api.url}/v1/logs`, ...options });
      const { code } = await new Promise<{ code: number }>((resolve) => {
        exporter.export(records as never, resolve);
      });
      await exporter.shutdown();
      return code;
    }
    const stored = (text: string) =>
      api.query<{ payload: { body: string }; source_id: string; severity: string }>(
        `select payload, source_id, severity from events where payload->>'body' like '${text}%' order by payload->>'body'`,
      );

    it('stores what its exporter sends, gzipped or not, with resource and scope', async () => {
      const compression = { compression: 'gzip' };
      const records = await logged({
        body: 'whole',
        severityNumber: 17,
        attributes: { route: '/cart', n: 7 },
      });
      assert.equal(await send(records, compression), 0);
      assert.equal(await send(records), 0);
      const [event, ...others] = await stored('whole');
      assert.deepEqual(others, []);
      assert.equal(event!.source_id, 'checkout');
      assert.equal(event!.severity, 'high');
      const { time_unix_nano, observed_time_unix_nano, ...payload } = event!.payload as Record<
        string,
        unknown
      >;
      assert.match(String(time_unix_nano ?? observed_time_unix_nano), /^\d{19}$/);
      assert.deepEqual(payload, {
        body: 'whole',
        severity_number: 17,
        attributes: { route: '/cart', n: 7 },
        resource: { 'service.name': 'checkout', 'host.name': 'web-17' },
        scope: { name: 'shop', version: '1.2.3' },
      });
    });

    it('stores the valid records of an export with invalid ones, which the SDK does not send again', async () => {
      const old = new Date(Date.now() - 400 * 86_400_000);
      const records = await logged(
        { body: 'partly 1' },
        { body: 'partly 2', timestamp: old },
        { body: 'partly 3' },
      );
      assert.equal(await send(records), 0);
      assert.deepEqual(
        (await stored('partly')).map(({ payload }) => payload.body),
        ['partly 1', 'partly 3'],
      );
    });

    it('is repeated by the SDK after a 503, and stored once even if the first attempt was stored', async () => {
      failures = ['before', 'after'];
      assert.equal(await send(await logged({ body: 'again' })), 0);
      assert.deepEqual(failures, []);
      assert.equal((await stored('again')).length, 1);
    });

    /** Sends a request like the SDK, and decodes the answer with the SDK. */
    async function post(body: Uint8Array, headers: Record<string, string> = {}) {
      const response = await fetch(`${api.url}/v1/logs`, {
        method: 'POST',
        body: body as Uint8Array<ArrayBuffer>,
        headers: { 'content-type': type, ...headers },
      });
      assert.equal(response.headers.get('content-type'), type);
      return {
        status: response.status,
        headers: response.headers,
        bytes: new Uint8Array(await response.arrayBuffer()),
      };
    }

    it('says how many records were refused and why, and nothing if none was', async () => {
      const old = new Date(Date.now() - 400 * 86_400_000);
      const good = await post(serializer.serializeRequest((await logged({ body: 'fine' })) as never)!);
      assert.equal(good.status, 200);
      assert.deepEqual({ ...(serializer.deserializeResponse(good.bytes) as object) }, {});
      const records = await logged(
        { body: 'bad' },
        { timestamp: old },
        { timestamp: new Date('1999-01-01'), body: 'older' },
      );
      const { status, bytes } = await post(serializer.serializeRequest(records as never)!);
      assert.equal(status, 200);
      const { partialSuccess } = serializer.deserializeResponse(bytes) as unknown as {
        partialSuccess: { rejectedLogRecords: unknown; errorMessage: string };
      };
      assert.equal(String(partialSuccess.rejectedLogRecords), '2');
      assert.match(
        partialSuccess.errorMessage,
        /^refused: 2 × timestamp: is older than the retention of events$/,
      );
    });

    it('reports errors as google.rpc.Status, with the time to try again', async () => {
      const bad = await post(Buffer.from('{"resourceLogs": 5'));
      assert.equal(bad.status, 400);
      assert.equal(statusOf(bad.bytes).code, 3);
      assert.deepEqual(violationsOf(bad.bytes), [statusOf(bad.bytes).message]);
      failures = ['before'];
      const full = await post(serializer.serializeRequest((await logged({ body: 'later' })) as never)!);
      assert.equal(full.status, 503);
      assert.match(full.headers.get('retry-after')!, /^\d+$/);
      assert.deepEqual(statusOf(full.bytes), {
        code: 14,
        message: 'the ingest buffer is full; try again in 1 s',
      });
      const broken = await post(gzipSync('x'.repeat(100)).subarray(0, 15), { 'content-encoding': 'gzip' });
      assert.equal(broken.status, 400);
    });

    function statusOf(bytes: Uint8Array): { code: number; message: string } {
      if (form === 'JSON') return JSON.parse(Buffer.from(bytes).toString());
      const { root } = protobuf.parse(
        'syntax = "proto3"; message Status { int32 code = 1; string message = 2; }',
      );
      return { ...root.lookupType('Status').decode(bytes) } as unknown as { code: number; message: string };
    }

    /** The violations in the details of a status, which are a `google.rpc.BadRequest`. */
    function violationsOf(bytes: Uint8Array): string[] {
      const type = 'type.googleapis.com/google.rpc.BadRequest';
      type Detail = { '@type': string; fieldViolations: { description: string }[] };
      if (form === 'JSON') {
        const { details } = JSON.parse(Buffer.from(bytes).toString()) as { details: Detail[] };
        assert.equal(details[0]!['@type'], type);
        return details[0]!.fieldViolations.map(({ description }) => description);
      }
      const { root } = protobuf.parse(`syntax = "proto3"; message Status { repeated Any details = 3; }
        message Any { string type_url = 1; bytes value = 2; } message Violation { string description = 2; }
        message BadRequest { repeated Violation field_violations = 1; }`);
      const { details } = root.lookupType('Status').decode(bytes) as unknown as {
        details: { typeUrl: string; value: Uint8Array }[];
      };
      assert.equal(details[0]!.typeUrl, type);
      const { fieldViolations } = root
        .lookupType('BadRequest')
        .decode(details[0]!.value) as unknown as Detail;
      return fieldViolations.map(({ description }) => description);
    }

    it('accepts an empty export', async () => {
      assert.equal((await post(form === 'JSON' ? Buffer.from('{}') : new Uint8Array())).status, 200);
    });

    it('refuses, before decoding it, an export that would take far more memory than its size', async () => {
      const attributes = 600_000;
      const body =
        form === 'JSON'
          ? Buffer.from(
              `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[${new Array(attributes).fill('{}')}]}]}]}]}`,
            )
          : nested(
              Buffer.concat([Buffer.from([0x12]), lengthOf(2 * attributes), repeated([0x32, 0], attributes)]),
              1,
            );
      const { status, bytes } = await post(body);
      assert.equal(status, 413);
      assert.match(statusOf(bytes).message, /500000 objects/);
    });

    it('refuses an export of too many records with 413, none of them stored', async () => {
      const record = form === 'JSON' ? '{"body":{"stringValue":"many"}}' : '';
      const many = 20_001;
      const body =
        form === 'JSON'
          ? Buffer.from(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[${new Array(many).fill(record)}]}]}]}`)
          : nested(Buffer.from([0x12, 0x00]), many);
      const { status, bytes } = await post(body);
      assert.equal(status, 413);
      assert.match(statusOf(bytes).message, /20000 log records/);
      assert.equal((await stored('many')).length, 0);
    });
  });
}

const repeated = (bytes: number[], times: number) => Buffer.alloc(bytes.length * times, Buffer.from(bytes));
const lengthOf = (length: number) => protobuf.Writer.create().uint32(length).finish();

/** A protobuf export with so many equal records in one scope. */
function nested(record: Buffer, times: number): Uint8Array {
  const field = (tag: number, content: Uint8Array) =>
    protobuf.Writer.create().uint32(tag).bytes(content).finish();
  const records = Buffer.concat(new Array<Buffer>(times).fill(record));
  return field(0x0a, field(0x12, records));
}

describe('POST /v1/logs', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  it('repairs a text that is not UTF-8, and stores its record with the others', async () => {
    const records = ['broken \u00ff', 'whole'].map((text) => ({ body: text }));
    for (const { serializer, type } of Object.values(FORMS)) {
      const body = Buffer.from(serializer.serializeRequest((await logged(...records)) as never)!);
      // The two bytes of ÿ are replaced by one that is invalid in UTF-8, and another character.
      const at = body.indexOf(Buffer.from('ÿ'));
      body[at] = 0xff;
      body[at + 1] = 0x21;
      assert.equal((await api.call('POST', '/v1/logs', body, { 'content-type': type })).status, 200);
    }
    const stored = await api.query<{ body: string }>(
      `select payload->>'body' as body from events where payload->>'body' similar to '(broken|whole)%' order by 1`,
    );
    assert.deepEqual(
      stored.map(({ body }) => body),
      ['broken \ufffd!', 'broken \ufffd!', 'whole', 'whole'],
    );
  });

  it('keeps 64-bit integers that come as JSON numbers with all digits', async () => {
    const record = `{"timeUnixNano": ${BigInt(Date.now()) * 1_000_000n + 123_456_789n}, "body": {"stringValue": "exact"},
      "attributes": [{"key": "id", "value": {"intValue": 9223372036854775807}}]}`;
    const body = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${record}]}]}]}`;
    assert.equal((await api.call('POST', '/v1/logs', body)).status, 200);
    const [event] = await api.query<{ id: string; nano: string }>(
      `select payload #>> '{attributes,id}' as id, payload ->> 'time_unix_nano' as nano from events where payload->>'body' = 'exact'`,
    );
    assert.equal(event!.id, '9223372036854775807');
    assert.match(event!.nano, /789$/);
  });

  it('refuses a body that is not an export, even a list, with 400', async () => {
    for (const body of ['[]', '[{"resourceLogs":[]}]', '5', '"x"', 'null', '{"resourceLogs":[[]]}']) {
      assert.equal((await api.call('POST', '/v1/logs', body)).status, 400, body);
    }
  });

  for (const [signal, path] of [
    ['traces', '/v1/traces'],
    ['metrics', '/v1/metrics'],
    ['profiles', '/v1development/profiles'],
  ] as const) {
    it(`answers ${signal} with 404 as google.rpc.Status, which exporters don't send again`, async () => {
      const { status, body } = await api.call('POST', path, {});
      assert.equal(status, 404);
      assert.deepEqual(body, {
        code: 5,
        message: `Tocsin accepts logs but no ${signal}: export them elsewhere`,
      });
    });
  }

  it('makes the same event of a record in JSON and in protobuf', async () => {
    const records = await logged({
      body: 'twice',
      severityNumber: 13,
      attributes: { ratio: 0.25, big: 2 ** 40 },
    });
    for (const { serializer, type } of Object.values(FORMS)) {
      const body = serializer.serializeRequest(records as never)!;
      assert.equal((await api.call('POST', '/v1/logs', body, { 'content-type': type })).status, 200);
    }
    assert.equal((await api.query(`select 1 from events where payload->>'body' = 'twice'`)).length, 1);
  });

  it('refuses other media types', async () => {
    const { status, body } = await api.call('POST', '/v1/logs', 'x', { 'content-type': 'text/plain' });
    assert.equal(status, 415);
    assert.equal(body.code, 3);
  });
});
