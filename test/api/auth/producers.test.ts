import assert from 'node:assert/strict';
import { type KeyStage, keyStage } from './stage.ts';

describe('the URL of an HTTP check', () => {
  let api: KeyStage;
  before(async () => {
    api = await keyStage();
  });
  after(() => api.close());

  const url = 'https://example.org/health?token=hidden';

  it('the URL is shown in full to keys that may change the producer, and without its secrets to all others', async () => {
    const operator = (await api.key(['operate', 'read'])).key;
    const reader = (await api.key(['read'])).key;
    const auditor = (await api.key(['admin'])).key;
    const check = { id: 'check-1', kind: 'http-check', settings: { url } };
    assert.equal((await api.by(operator, 'POST', '/producers', check)).body.settings.url, url);
    // Temporal is down, so the change is refused. The audit log has it nevertheless.
    assert.equal((await api.by(operator, 'PUT', '/producers/check-1', { settings: { url } })).status, 503);

    const shown = async (key: string) => {
      const [one, all] = [
        await api.by(key, 'GET', '/producers/check-1'),
        await api.by(key, 'GET', '/producers'),
      ];
      assert.deepEqual(all.body[0].settings, one.body.settings);
      return one.body.settings.url;
    };
    assert.equal(await shown(operator), url);
    assert.equal(await shown(reader), 'https://example.org/health?token=***');

    const { body: entries } = await api.by(auditor, 'GET', '/audit?limit=200');
    const told = entries.filter(({ action }: { action: string }) => /producers/.test(action));
    assert.deepEqual(
      told.map(({ detail }: { detail: { body: { settings: { url: string } } } }) => detail.body.settings.url),
      Array(2).fill('https://example.org/health?token=***'),
    );
  });
});
