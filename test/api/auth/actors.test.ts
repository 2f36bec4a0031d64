import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { IncidentEntity } from '../../../db/entities/incident.ts';
import { type KeyStage, keyStage } from './stage.ts';

describe('the author of an action', () => {
  let api: KeyStage;
  before(async () => {
    api = await keyStage({ temporal: 'working' });
  });
  after(() => api.close());

  const openIncident = async (): Promise<string> => {
    const [id, at] = [randomUUID(), new Date()];
    await api.orm.em.fork().insert(IncidentEntity, {
      ...{ id, ruleId: randomUUID(), groupKey: '', episode: 1, revision: 1, ruleName: 'CPU', summary: 'CPU' },
      ...{ severity: 'high', state: 'open', since: at, openedAt: at, recordedAt: at },
      ...{ groupLabels: {}, labels: {}, annotations: {}, metadata: {}, reopened: 0, late: false },
    });
    return id;
  };

  it('the author of an action is the name of the key; the person that a client claims to act for is recorded as the claim of that key', async () => {
    const { key, id } = await api.key(['read', 'operate'], { name: 'ada’s phone' });
    const [one, other] = [await openIncident(), await openIncident()];
    const acknowledged = await api.by(key, 'POST', `/incidents/${one}/acknowledge`);
    assert.equal(acknowledged.body.acknowledged_by, 'ada’s phone');
    const comment = await api.by(key, 'POST', `/incidents/${one}/comments`, { text: 'looking' });
    assert.deepEqual(
      comment.body.timeline.map(({ actor }: { actor: string }) => actor),
      ['ada’s phone', 'ada’s phone'],
    );
    const named = await api.by(key, 'POST', `/incidents/${other}/acknowledge`, { actor: 'bob' });
    assert.equal(named.body.acknowledged_by, 'bob (claimed by key ada’s phone)');
    const own = await api.by(key, 'POST', `/incidents/${one}/comments`, { text: 'x', actor: 'ada’s phone' });
    assert.equal(own.body.timeline.at(-1).actor, 'ada’s phone');
    const long = await api.by(key, 'POST', `/incidents/${one}/comments`, {
      text: 'x',
      actor: 'b'.repeat(200),
    });
    assert.match(long.body.timeline.at(-1).actor, /^b+… \(claimed by key ada’s phone\)$/);
    const { body: record } = await api.by(api.root, 'GET', `/audit?principal_id=${id}`);
    assert.deepEqual(
      record.map(({ principal, target }: { principal: string; target: string }) => [principal, target]),
      [
        ['ada’s phone', `/incidents/${one}/comments`],
        ['ada’s phone', `/incidents/${one}/comments`],
        ['ada’s phone', `/incidents/${other}/acknowledge`],
        ['ada’s phone', `/incidents/${one}/comments`],
        ['ada’s phone', `/incidents/${one}/acknowledge`],
      ],
    );
  });
});
