import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import { loadConfig } from '../../config.ts';
import { connect, type Orm, sqlOf } from '../../db/orm.ts';
import { ensureDay } from '../../db/partitions.ts';
import { dropPartitions } from '../../db/queries/events/retention.ts';
import { forgetAudit, insertAudit, settleAudit } from '../../db/queries/keys/audit.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { spawnRole } from '../support/processes.ts';
import { postgresUrl } from '../support/servers.ts';

const root = join(import.meta.dirname, '../..');
/** Each password contains characters that need an escape in a URL. */
const PASSWORDS = { TOCSIN_OWNER_PASSWORD: "o/w#n@e'r", TOCSIN_PASSWORD: 'p:l%a?i n' };

/** Runs deploy/postgres/roles.sql like psql, with roles and a database of this test's own. */
async function makeRoles(url: string, suffix: string): Promise<void> {
  const script = readFileSync(join(root, 'deploy/postgres/roles.sql'), 'utf8').replaceAll(
    /\btocsin(_owner)?\b/g,
    `$&_${suffix}`,
  );
  const variables: Record<string, string> = {};
  let client = new pg.Client(url);
  await client.connect();
  try {
    for (const [, text, ending = '', argument] of statements(script)) {
      const statement = text!.replaceAll(/:'(\w+)'/g, (_, name: string) =>
        pg.escapeLiteral(variables[name]!),
      );
      if (ending === ';') await client.query(statement);
      else if (ending === '\\gexec') {
        const { rows } = await client.query({ text: statement, rowMode: 'array' });
        for (const [command] of rows as string[][]) await client.query(command!);
      } else if (ending === '\\getenv') {
        const [name, variable] = argument!.split(' ');
        variables[name!] = PASSWORDS[variable as keyof typeof PASSWORDS];
      } else if (ending === '\\connect') {
        await client.end();
        const next = new URL(url);
        next.pathname = `/${argument}`;
        client = new pg.Client(next.href);
        await client.connect();
      }
    }
  } finally {
    await client.end();
  }
}

/** Splits a script into statements with their terminators, and psql's own commands. */
function statements(script: string): RegExpMatchArray[] {
  const text = script.replaceAll(/^--.*$/gm, '');
  return [...text.matchAll(/\s*(?:([^\\;]+?)\s*(;|\\gexec)|()(\\\w+) ([^\n]*))/g)].map((match) => {
    const [whole, statement, end, , command, argument] = match;
    return [whole, statement ?? '', end ?? command, argument] as unknown as RegExpMatchArray;
  });
}

describe('the roles of PostgreSQL', () => {
  const suffix = `t${process.pid}`;
  const owner = `tocsin_owner_${suffix}`;
  const plain = `tocsin_${suffix}`;
  let server: string;
  let orm: Orm;

  const settings = (user: string, password: string) => ({
    DATABASE_HOST: new URL(server).hostname,
    DATABASE_PORT: new URL(server).port,
    DATABASE_NAME: `tocsin_${suffix}`,
    DATABASE_USER: user,
    DATABASE_PASSWORD: password,
  });
  const migrate = async () => {
    const env = { ...settings(owner, PASSWORDS.TOCSIN_OWNER_PASSWORD), DATABASE_GRANT_TO: plain };
    const role = await spawnRole('db/migrate.ts', [], { DATABASE_URL: '', ...env });
    const { code } = await role.exited;
    assert.equal(code, 0, role.output());
  };

  before(async () => {
    server = await postgresUrl();
    await makeRoles(server, suffix);
    await migrate();
    orm = await connect(loadConfig(settings(plain, PASSWORDS.TOCSIN_PASSWORD)).DATABASE_URL, 2);
  });
  after(async () => {
    await orm?.close(true);
    const client = new pg.Client(server);
    await client.connect();
    await client.query(`drop database if exists tocsin_${suffix} with (force)`);
    await client.query(`drop role if exists ${owner}, ${plain}`);
    await client.end();
  });

  const db = () => sqlOf(orm);
  const refused = async (statement: string) =>
    assert.rejects(
      sql.raw(statement).execute(db()),
      ({ code, message }: { code?: string; message: string }) => {
        assert.equal(code, '42501', `${statement}: ${message}`);
        return true;
      },
    );
  const entry = (at: number) => ({
    ...{ id: crypto.randomUUID(), at: new Date(at), principalId: null, principal: 'somebody', address: null },
    ...{ action: 'POST /alerts', target: '/alerts', detail: {}, status: null },
  });

  it('may be created and granted again', async () => {
    await makeRoles(server, suffix);
    await migrate();
  });

  it('let the application append to the audit log, and complete an entry once', async () => {
    const now = Date.now();
    const made = entry(now);
    await insertAudit(orm, made);
    await settleAudit(db(), { id: made.id, status: 201, target: '/alerts/1' });
    await settleAudit(db(), { id: made.id, status: 500, target: '/elsewhere' });
    await refused("update audit_log set principal = 'nobody'");
    await refused('delete from audit_log');
    await refused('truncate audit_log');
    await refused('drop table audit_log');
    await forgetAudit(db(), now + DAY_MS);
    const { rows } = await sql`select principal, status, target from audit_log`.execute(db());
    assert.deepEqual(rows, [{ principal: 'somebody', status: 201, target: '/alerts/1' }]);
  });

  it('let the application delete audit entries that are older than 400 days', async () => {
    const now = Date.now();
    await insertAudit(orm, entry(now - 401 * DAY_MS));
    await forgetAudit(db(), now - 400 * DAY_MS);
    const { rows } = await sql`select 1 from audit_log where at < now() - interval '1 day'`.execute(db());
    assert.deepEqual(rows, []);
  });

  it('let the application create and drop partitions, including those that migrations created', async () => {
    const now = Date.now();
    assert.equal(await ensureDay(orm, now - 20 * DAY_MS), 3);
    for (const parent of ['events', 'window_counts', 'window_times'] as const) {
      assert.ok((await dropPartitions(orm, parent, () => now)) >= 2, parent);
    }
  });

  it('let the application read and write every other table, but define none of them', async () => {
    const { rows } = await sql<{ name: string; may: boolean; owns: boolean }>`
      select relname as name, relowner = current_user::regrole as owns,
        has_table_privilege(oid, 'select') and has_table_privilege(oid, 'insert')
        and has_table_privilege(oid, 'update') and has_table_privilege(oid, 'delete') as may
      from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`.execute(db());
    const limited = rows.filter(({ may }) => !may).map(({ name }) => name);
    assert.deepEqual(limited.toSorted(), ['audit_log', 'migrations']);
    const owned = rows.filter(({ owns }) => owns).map(({ name }) => name.replace(/_\d{8}$/, ''));
    assert.deepEqual([...new Set(owned)].toSorted(), ['events', 'window_counts', 'window_times']);
    await refused('alter table alert_rules add column more text');
    await refused('alter role current_user superuser');
    await refused("copy audit_log from program 'true'");
  });
});
