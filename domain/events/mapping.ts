/** How a mapping reads a time: `auto` tells numbers by their size, and takes everything else for RFC 3339. */
export const TIME_FORMATS = ['auto', 'rfc3339', 'epoch_s', 'epoch_ms'] as const;

/**
 * What a log shipper's records are as events. A path is a key, dots and all, or keys as `parsePath` reads
 * them; of several the first that is there counts. A record that has none of them gets the default.
 */
export interface MappingDefinition {
  /** Identity within its source. Without one, a record that is sent twice is two events. */
  id: string[];
  source: string[];
  type: string[];
  severity: string[];
  time: string[];
  defaults: { source: string; type: string; severity: string };
  time_format: (typeof TIME_FORMATS)[number];
  /**
   * Our severity for each level that the records use, in lower case. These win over the built-in names of
   * levels.
   */
  severities: Record<string, string>;
  /** What the payload has: the whole record, or what is left of it beside the fields above. */
  payload: 'all' | 'rest';
  /** Records with a time that are equal in everything are one event. */
  dedupe: boolean;
}

/** What the Elastic Common Schema calls them, in objects or with dots in the names. */
const ECS_SOURCE = ['service.name', 'host.name', 'host.hostname', 'log.syslog.hostname'];
const ECS_TYPE = ['event.action', 'event.dataset', 'process.name', 'log.syslog.appname'];
const ECS_SEVERITY = [
  'log.level',
  ...['severity.name', 'severity.code', 'priority'].map((name) => `log.syslog.${name}`),
];

/**
 * Mappings that are always there. None dedupes: two equal lines of a log within a second are two. A shipper
 * that sends a batch again after it heard no answer stores it twice, as it does everywhere else.
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
