import { Events } from './20261124000000-events.ts';
import { Tables } from './20261124000001-tables.ts';
import { Keys } from './20261125000000-keys.ts';
import { ReceivedAlerts } from './20261125000001-received-alerts.ts';
import { Mappings } from './20261125000002-mappings.ts';
import { Reads } from './20261125000003-reads.ts';
import { RejectionTables } from './20261125000004-rejections.ts';
import { BackfillPosition } from './20261127000010-backfill-position.ts';
import { RuleSetChanges } from './20261127000011-rule-set-changes.ts';
import { IncidentLookups } from './20261127000020-incident-lookups.ts';
import { DeferredEpisodes } from './20261127000021-deferred-episodes.ts';
import { FoldedAlerts } from './20261127000022-folded-alerts.ts';
import { DeafSpans } from './20261127000030-deaf-spans.ts';
import { Housekeeping } from './20261127000040-housekeeping.ts';
import { AccessMigration } from './20261127000050-access.ts';
import { AppendOnlyAudit } from './20261127000060-append-only-audit.ts';
import { WindowTimes } from './20261130001000-window-times.ts';
import { WindowTimesLast } from './20261130001001-window-times-last.ts';
import { UnprovenStandings } from './20261130002001-unproven-standings.ts';
import { RemovedSamples } from './20261130003001-removed-samples.ts';
import { DeadLetterSpans } from './20261130008001-dead-letter-spans.ts';
import { EndedProcesses } from './20261130008002-ended-processes.ts';

/** Every migration in order, by name: nothing is found by looking into folders. */
export const migrationsList = [
  { name: '20261124000000-events', class: Events },
  { name: '20261124000001-tables', class: Tables },
  { name: '20261125000000-keys', class: Keys },
  { name: '20261125000001-received-alerts', class: ReceivedAlerts },
  { name: '20261125000002-mappings', class: Mappings },
  { name: '20261125000003-reads', class: Reads },
  { name: '20261125000004-rejections', class: RejectionTables },
  { name: '20261127000010-backfill-position', class: BackfillPosition },
  { name: '20261127000011-rule-set-changes', class: RuleSetChanges },
  { name: '20261127000020-incident-lookups', class: IncidentLookups },
  { name: '20261127000021-deferred-episodes', class: DeferredEpisodes },
  { name: '20261127000022-folded-alerts', class: FoldedAlerts },
  { name: '20261127000030-deaf-spans', class: DeafSpans },
  { name: '20261127000040-housekeeping', class: Housekeeping },
  { name: '20261127000050-access', class: AccessMigration },
  { name: '20261127000060-append-only-audit', class: AppendOnlyAudit },
  { name: '20261130001000-window-times', class: WindowTimes },
  { name: '20261130001001-window-times-last', class: WindowTimesLast },
  { name: '20261130002001-unproven-standings', class: UnprovenStandings },
  { name: '20261130003001-removed-samples', class: RemovedSamples },
  { name: '20261130008001-dead-letter-spans', class: DeadLetterSpans },
  { name: '20261130008002-ended-processes', class: EndedProcesses },
];
