import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../../../support/temporary.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { type Stage, stage } from '../../stage.ts';

const run = promisify(execFile);

const installed = (program: string) => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

describe('Alertmanager’s API v2', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  const now = () => Date.now();
  const at = (ms: number) => new Date(ms).toISOString();
  /** An alert in the form that Prometheus sends. */
  const firing = (labels: object, changes: object = {}) => ({
    labels,
    annotations: { summary: 'Load is high' },
    startsAt: at(now() - 60_000),
    endsAt: at(now() + 240_000),
    generatorURL: 'http://prometheus:9090/graph?g0.expr=up',
    ...changes,
  });
  /** Sends alerts like Prometheus. */
  const post = (alerts: unknown) =>
    api.call('POST', '/api/v2/alerts', JSON.stringify(alerts), {
      'content-type': 'application/json',
      'user-agent': 'Prometheus/3.5.0',
    });
  const active = async (filter: string) =>
    (await api.get(`/api/v2/alerts?filter=${encodeURIComponent(filter)}`)).body;

  it('stores what Prometheus sends, and lists an alert once however often it is sent', async () => {
    const alert = firing({ alertname: 'Once', severity: 'critical' });
    for (let i = 0; i < 3; i++) {
      const { status, body } = await post([alert]);
      assert.deepEqual([status, body], [200, undefined]);
    }
    const [listed, ...others] = await active('alertname="Once"');
    assert.deepEqual(others, []);
    assert.deepEqual(listed.labels, alert.labels);
    assert.deepEqual(listed.annotations, alert.annotations);
    assert.equal(listed.startsAt, alert.startsAt);
    assert.equal(listed.endsAt, alert.endsAt);
    assert.equal(listed.generatorURL, alert.generatorURL);
    assert.equal(listed.status.state, 'active');
    assert.match(listed.fingerprint, /^[0-9a-f]{32}$/);
  });

  it('no longer lists resolved alerts', async () => {
    const labels = { alertname: 'Over' };
    await post([firing(labels)]);
    assert.equal((await active('alertname="Over"')).length, 1);
    await post([firing(labels, { endsAt: at(now() - 1) })]);
    assert.deepEqual(await active('alertname="Over"'), []);
  });

  it('stores the valid alerts of a request with invalid ones, and answers 400 with the errors', async () => {
    const bad = [{ labels: {} }, firing({ alertname: 'Backwards' }, { endsAt: at(now() - 3_600_000) }), 5];
    const { status, body } = await post([
      firing({ alertname: 'Good', n: '1' }),
      ...bad,
      firing({ alertname: 'Good', n: '2' }),
    ]);
    assert.equal(status, 400);
    assert.equal(
      body,
      '1.labels: at least one label pair required; 2.endsAt: is before startsAt; 3: must be an object',
    );
    assert.equal((await active('alertname="Good"')).length, 2);
    assert.deepEqual(await active('alertname="Backwards"'), []);
    await api.rejections.flush();
    const { body: refused } = await api.get('/rejections');
    assert.deepEqual(
      refused.last
        .map(({ route, kind, item }: Record<string, string>) => [route, kind, item?.slice(0, 9)])
        .sort(),
      ['5', '{"labels"', '{"labels"'].map((item) => ['/api/v2/alerts', 'event', item]),
    );
  });

  it('answers a body that is not a list of alerts with 400 and a text', async () => {
    for (const body of [{}, 'text', null]) {
      const answer = await post(body);
      assert.deepEqual([answer.status, typeof answer.body], [400, 'string']);
    }
    const broken = await api.call('POST', '/api/v2/alerts', '[{', { 'content-type': 'application/json' });
    assert.deepEqual([broken.status, broken.body], [400, 'the body is not JSON']);
    assert.equal((await post([])).status, 200);
  });

  it('filters by labels, and answers an invalid filter with 400', async () => {
    await post([1, 2, 3].map((n) => firing({ alertname: 'Filtered', n: String(n) })));
    const query = (filters: string[]) =>
      api.get(`/api/v2/alerts?${filters.map((filter) => `filter=${encodeURIComponent(filter)}`).join('&')}`);
    const found = async (...filters: string[]) =>
      (await query(['alertname="Filtered"', ...filters])).body
        .map(({ labels }: { labels: { n: string } }) => labels.n)
        .sort();
    assert.deepEqual(await found('n=~"1|2"'), ['1', '2']);
    assert.deepEqual(await found('n!="1"', 'n!~"3"'), ['2']);
    assert.deepEqual(await found('team=""'), ['1', '2', '3']);
    for (const filter of ['nonsense', 'n=~"("']) assert.equal((await query([filter])).status, 400);
    const all = '/api/v2/alerts?filter=alertname%3D%22Filtered%22';
    assert.deepEqual((await api.get(`${all}&active=false`)).body, []);
    assert.deepEqual((await api.get(`${all}&receiver=somebody`)).body, []);
    assert.equal((await api.get(`${all}&receiver=toc.*`)).body.length, 3);
  });

  it('groups alerts by their names', async () => {
    await post([firing({ alertname: 'Grouped', n: '1' }), firing({ alertname: 'Grouped', n: '2' })]);
    const { body } = await api.get('/api/v2/alerts/groups?filter=alertname%3DGrouped');
    assert.deepEqual(
      body.map(({ labels, alerts }: { labels: object; alerts: unknown[] }) => [labels, alerts.length]),
      [[{ alertname: 'Grouped' }, 2]],
    );
  });

  it('returns its status and its only receiver, and no silences', async () => {
    const { body } = await api.get('/api/v2/status');
    assert.equal(body.cluster.status, 'disabled');
    assert.match(body.config.original, /receiver: tocsin/);
    assert.deepEqual((await api.get('/api/v2/receivers')).body, [{ name: 'tocsin' }]);
    assert.deepEqual((await api.get('/api/v2/silences')).body, []);
  });

  describe('as amtool uses it', () => {
    const amtool = (...args: string[]) => run('amtool', ['--alertmanager.url', api.url, ...args]);
    before(function () {
      if (!installed('amtool')) this.skip();
    });

    it('adds, queries and ends alerts', async () => {
      await amtool('alert', 'add', 'alertname=ByHand', 'severity=critical', '--annotation=summary=by hand');
      const { stdout } = await amtool('alert', 'query', 'alertname=ByHand', '-o', 'json');
      const [alert, ...others] = JSON.parse(stdout);
      assert.deepEqual(others, []);
      assert.deepEqual(alert.labels, { alertname: 'ByHand', severity: 'critical' });
      assert.deepEqual(alert.annotations, { summary: 'by hand' });
      assert.match((await amtool('alert', 'query', 'severity=~crit.*')).stdout, /ByHand/);
      await amtool('alert', 'add', 'alertname=ByHand', 'severity=critical', `--end=${at(now() - 1)}`);
      assert.deepEqual(
        JSON.parse((await amtool('alert', 'query', 'alertname=ByHand', '-o', 'json')).stdout),
        [],
      );
      assert.match((await amtool('config', 'show')).stdout, /receiver: tocsin/);
      assert.equal((await amtool('silence', 'query')).stdout.trim().split('\n').length, 1);
    });

    it('gets the errors', async () => {
      const backwards = [`--start=${at(now())}`, `--end=${at(now() - 60_000)}`];
      await assert.rejects(
        amtool('alert', 'add', 'alertname=Wrong', ...backwards),
        /endsAt: is before startsAt/,
      );
    });
  });

  describe('as a Prometheus server uses it', () => {
    before(function () {
      if (!installed('prometheus')) this.skip();
    });

    it('receives an alert that fires', async () => {
      const folder = temporaryDirectory();
      writeFileSync(
        join(folder, 'prometheus.yml'),
        [
          'global: {evaluation_interval: 1s}',
          'rule_files: [rules.yml]',
          `alerting: {alertmanagers: [{static_configs: [{targets: ['${new URL(api.url).host}']}]}]}`,
        ].join('\n'),
      );
      writeFileSync(
        join(folder, 'rules.yml'),
        'groups: [{name: g, rules: [{alert: FromPrometheus, expr: vector(1), labels: {severity: warning}, annotations: {summary: always}}]}]',
      );
      const prometheus = spawn(
        'prometheus',
        [
          `--config.file=${join(folder, 'prometheus.yml')}`,
          `--storage.tsdb.path=${join(folder, 'data')}`,
          '--web.listen-address=127.0.0.1:0',
          // Prometheus repeats alerts after a minute by default, so alerts that it sent before it had found
          // Alertmanager would come late.
          '--rules.alert.resend-delay=1s',
        ],
        { stdio: 'ignore' },
      );
      try {
        const alert = await waitFor(async () => (await active('alertname="FromPrometheus"'))[0], {
          what: 'the alert of a Prometheus server',
          timeoutMs: 60_000,
        });
        assert.deepEqual(alert.labels, { alertname: 'FromPrometheus', severity: 'warning' });
        assert.deepEqual(alert.annotations, { summary: 'always' });
      } finally {
        prometheus.kill();
        await once(prometheus, 'exit');
      }
    });
  });
});
