import assert from 'node:assert/strict';
import { ProducerEntity } from '../../db/entities/producer.ts';
import { type HttpCheckSettings, withoutSecrets } from '../../domain/producers/producer.ts';
import { producerWorkflowId } from '../../workflows/ids.ts';
import { resumeProducer } from '../../workflows/messages.ts';
import { producerWorkflow } from '../../workflows/startable.ts';
import { waitFor } from '../support/wait-for.ts';
import { simulated } from './settings.ts';
import { type Stage, stage } from './stage.ts';
import { type Web, web } from './web-servers.ts';

describe('a probed URL with a secret', () => {
  const asked: string[] = [];
  let server: Web;
  let there: Stage;
  before(async () => {
    server = await web((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization ?? ''}`);
      response.end();
    });
    there = await stage({});
  });
  after(async () => {
    await there.close();
    await server.close();
  });

  const settings = (): HttpCheckSettings => ({
    kind: 'http-check',
    url: server.url.replace('://', '://me:pa55word@').concat('health?token=s3cret&of=all'),
    ...{ interval_seconds: 1, timeout_ms: 2000, expected_status: [], certificate_days: 14 },
  });

  it('is probed in full, and appears in no history', async () => {
    const handle = await there.start('checked', settings());
    await waitFor(() => asked.length >= 2, { what: 'two checks' });
    await there.stop(handle);
    assert.equal(asked[0], `/health?token=s3cret&of=all Basic ${btoa('me:pa55word')}`);
    const history = JSON.stringify(await handle.fetchHistory());
    const payloads = [...history.matchAll(/"data":"([A-Za-z0-9+/=]+)"/g)];
    const decoded = payloads.map(([, data]) => Buffer.from(data!, 'base64').toString()).join('\n');
    assert.match(decoded, /health\?token=\*\*\*/);
    for (const text of [history, decoded]) assert.doesNotMatch(text, /s3cret|pa55word/);
  });

  it('is waited for while the row does not contain it yet; after that the check is skipped', async () => {
    const handle = await there.start('changing', settings(), true);
    await there.orm.em.fork().nativeUpdate(ProducerEntity, { id: 'changing' }, { settings: simulated() });
    await handle.executeUpdate(resumeProducer, { args: [{ actor: 'test' }] });
    const begun = Date.now();
    await waitFor(async () => Number((await there.row('changing')).appendedThrough) > begun, {
      what: 'the source to come on without a check',
    });
    await there.stop(handle);
    assert.deepEqual(await there.stored('changing'), []);
    assert.deepEqual(await there.letters('changing'), []);
  });

  it('does not appear in what housekeeping starts the workflow with', () => {
    const started = producerWorkflow({ source_id: 'checked', settings: settings() });
    assert.equal(started.workflowId, producerWorkflowId('checked'));
    assert.doesNotMatch(JSON.stringify(started), /s3cret|pa55word/);
    assert.deepEqual(withoutSecrets(withoutSecrets(settings())), withoutSecrets(settings()));
  });
});
