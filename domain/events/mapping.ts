/**
 * How a mapping reads times. `auto` distinguishes numbers by their size, and reads everything else as RFC
 * 3339.
 */
export const TIME_FORMATS = ['auto', 'rfc3339', 'epoch_s', 'epoch_ms'] as const;

/**
 * A mapping: how a log shipper's records become events. A path is a key that may contain dots, or keys as
 * `parsePath` reads them. Of several paths, the first that exists counts. If none exists, the default is
 * used.
 */
export interface MappingDefinition {
  /**
   * What identifies a record within its source. Without it, a record that is sent twice becomes two events.
   */
  id: string[];
  source: string[];
  type: string[];
  severity: string[];
  time: string[];
  defaults: { source: string; type: string; severity: string };
  time_format: (typeof TIME_FORMATS)[number];
  /**
   * Our severity for each level of the records, in lower case. These take precedence over the built-in names
   * of levels.
   */
  severities: Record<string, string>;
  /**
   * What the payload contains: the whole record, or only the fields that did not become a field of the event.
   */
  payload: 'all' | 'rest';
  /** True if equal records that have a time are stored as one event. */
  dedupe: boolean;
}

/** Field names of the Elastic Common Schema, as nested objects or as names with dots. */
const ECS_SOURCE = ['service.name', 'host.name', 'host.hostname', 'log.syslog.hostname'];
const ECS_TYPE = ['event.action', 'event.dataset', 'process.name', 'log.syslog.appname'];
const ECS_SEVERITY = [
  'log.level',
  ...['severity.name', 'severity.code', 'priority'].map((name) => `log.syslog.${name}`),
];

/**
 * Built-in mappings. None of them dedupes, because two equal log lines within a second are two events. A
 * shipper that repeats a batch after a lost answer therefore stores it twice.
 */
export const BUILT_IN: Readonly<Record<string, MappingDefinition>> = {
  'fluent-bit': {
    id: [],
    source: [
      ...['source_id', 'service', 'kubernetes.pod_name', 'host', 'hostname', '_HOSTNAME', 'tag'],
      ...ECS_SOURCE,
    ],
    type: ['event_type', 'ident', 'SYSLOG_IDENTIFIER', '_SYSTEMD_UNIT', ...ECS_TYPE],
    severity: ['severity', 'level', 'log_level', 'PRIORITY', 'pri', ...ECS_SEVERITY],
    time: ['date', 'timestamp', '@timestamp', 'time'],
    defaults: { source: 'fluent-bit', type: 'log', severity: 'info' },
    time_format: 'auto',
    severities: {},
    payload: 'all',
    dedupe: false,
  },
  vector: {
    id: [],
    source: [...['source_id', 'service', 'kubernetes.pod_name', 'host', 'hostname'], ...ECS_SOURCE],
    type: ['event_type', 'appname', 'source_type', ...ECS_TYPE],
    severity: ['severity', 'level', 'log_level', 'PRIORITY', ...ECS_SEVERITY],
    time: ['timestamp', '@timestamp', 'time'],
    defaults: { source: 'vector', type: 'log', severity: 'info' },
    time_format: 'auto',
    severities: {},
    payload: 'all',
    dedupe: false,
  },
  'syslog-ng': {
    id: [],
    source: ['HOST', 'HOST_FROM', 'host'],
    type: ['PROGRAM', 'program'],
    severity: ['PRIORITY', 'LEVEL', 'SEVERITY', 'priority'],
    time: ['ISODATE', 'R_ISODATE', 'UNIXTIME', 'R_UNIXTIME', 'timestamp'],
    defaults: { source: 'syslog-ng', type: 'syslog', severity: 'info' },
    time_format: 'auto',
    severities: {},
    payload: 'all',
    dedupe: false,
  },
};
