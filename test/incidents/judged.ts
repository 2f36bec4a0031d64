import { randomUUID } from 'node:crypto';
import { type Orm, transaction } from '../../db/orm.ts';
import { actOnIncident } from '../../db/queries/incidents/by-person.ts';
import { announced, incidentsOnRecord, lastEpisodes } from '../../db/queries/incidents/on-record.ts';
import { writeTransitions } from '../../db/queries/incidents/write.ts';
import { correct } from '../../domain/incidents/correct.ts';
import { transitionsOf } from '../../domain/incidents/decide.ts';
import type { Episode } from '../../domain/rules/episodes.ts';

/**
 * A group of a rule that late events can disprove. The test says what was judged; reading and writing is done
 * like the judge.
 */
export async function judged(orm: Orm) {
  const rule_id = randomUUID();
  return {
    /** Records the episodes, and returns the incidents that changed. */
    judge: (episodes: readonly Episode[], { late = false, crash = '' } = {}) =>
      transaction(orm, async (db) => {
        const onRecord = await incidentsOnRecord(db, rule_id, [{ group_key: '', ended_since: 0 }]);
        const transitions = transitionsOf({
          ...{ changes: correct(onRecord, episodes), onRecord, now: Date.now(), announceLate: false },
          told: await announced(
            db,
            onRecord.map(({ id }) => id),
          ),
          lastEpisode: (await lastEpisodes(db, rule_id, [''])).get('') ?? 0,
          rule: { rule_id, rule_name: 'Average too high', revision: 1, group_key: '' },
          describe: () => ({
            ...{ summary: 'The average is too high', severity: 'high', late },
            ...{ group_labels: {}, labels: {}, annotations: {} },
          }),
          metadataAt: (opened_at) => ({ observed_count: opened_at }),
          reasonAt: () => 'recovered',
        });
        await writeTransitions(db, transitions);
        if (crash !== '') throw new Error(`crash ${crash}`);
        return [...new Set(transitions.map(({ incident }) => incident.id))];
      }),
    act: (action: 'acknowledge' | 'resolve', incident_id: string) =>
      actOnIncident(orm, { action, incident_id, request: randomUUID(), actor: 'ada' }, Date.now()),
  };
}
