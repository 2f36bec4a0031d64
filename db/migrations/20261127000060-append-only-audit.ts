import { Migration } from '@mikro-orm/migrations';

/**
 * The only two ways to change the audit log: adding the result of an entry once, and deleting entries after
 * 400 days. They are functions of the tables' owner, so that they work for a role that may only read and
 * insert.
 */
export class AppendOnlyAudit extends Migration {
  override up(): void {
    this.addSql(`create function settle_audit(entry uuid, result smallint, what text) returns void
      language sql security definer set search_path from current
      begin atomic
        update audit_log set status = result, target = what where id = entry and status is null;
      end`);
    this.addSql(`create function forget_audit(before timestamptz) returns void
      language sql security definer set search_path from current
      begin atomic
        delete from audit_log where at < least(before, now() - interval '399 days');
      end`);
    this.addSql('revoke all on function settle_audit, forget_audit from public');
  }
}
