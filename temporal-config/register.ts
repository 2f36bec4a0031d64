import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, isGrpcServiceError } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';

/** `temporal.api.enums.v1.IndexedValueType` by the names the CLI uses for them. */
const valueTypes: Record<string, number> = {
  Text: 1,
  Keyword: 2,
  Int: 3,
  Double: 4,
  Bool: 5,
  Datetime: 6,
  KeywordList: 7,
};
const alreadyExists = 6;

/**
 * How many days Temporal keeps ended workflows. Our tables have the history; this serves people who look into
 * a workflow.
 */
export const RETENTION_DAYS = 7;

/** Our search attributes: names and types, as `temporal operator search-attribute create` calls them. */
export const searchAttributes: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'search-attributes.json'), 'utf8'),
);

/**
 * Creates the namespace and our search attributes if they are missing, and waits up to `timeoutMs` until the
 * server uses both. It changes nothing that exists.
 * @throws the server's last error
 */
export async function register(
  connection: Connection,
  {
    namespace,
    retentionDays = RETENTION_DAYS,
    timeoutMs = 60_000,
  }: { namespace: string; retentionDays?: number; timeoutMs?: number },
): Promise<void> {
  const giveUp = Date.now() + timeoutMs;
  for (;;) {
    try {
      await registerNamespace(connection, namespace, retentionDays);
      await addMissingAttributes(connection, namespace);
      // Each service of the server learns of a new namespace at its own time. Of those we need, matching is
      // the last.
      await connection.workflowService.describeTaskQueue({ namespace, taskQueue: { name: 'any' } });
      return;
    } catch (error) {
      if (Date.now() > giveUp) throw error;
      await sleep(20);
    }
  }
}

async function registerNamespace(connection: Connection, namespace: string, days: number): Promise<void> {
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs(days * 86_400_000),
    });
  } catch (error) {
    if (!isGrpcServiceError(error) || Number(error.code) !== alreadyExists) throw error;
  }
}

/** Adds our search attributes that a namespace lacks. @returns the names of those that it added */
export async function addMissingAttributes(
  { operatorService }: Connection,
  namespace: string,
): Promise<string[]> {
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const missing = Object.entries(searchAttributes).filter(([name]) => customAttributes?.[name] === undefined);
  if (missing.length === 0) return [];
  const types = Object.fromEntries(missing.map(([name, type]) => [name, valueTypes[type]!]));
  await operatorService.addSearchAttributes({ namespace, searchAttributes: types });
  return missing.map(([name]) => name);
}
