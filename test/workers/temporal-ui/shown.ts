import type { Client, WorkflowHandle } from '@temporalio/client';
import { waitFor } from '../../support/wait-for.ts';

/** What people see of a workflow, in lists and on its page. */
export interface Seen {
  memo: Record<string, unknown>;
  attributes: Record<string, unknown>;
  summary: string | undefined;
  details: string | undefined;
}

/** What the server has about a workflow. */
export async function seen(handle: WorkflowHandle): Promise<Seen> {
  const described = await handle.describe();
  const pairs = described.typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]);
  // The server's own attributes come and go with tasks.
  const { TemporalChangeVersion: _, BuildIds: __, ...attributes } = Object.fromEntries(pairs);
  return {
    memo: described.memo ?? {},
    attributes,
    summary: await described.staticSummary(),
    details: await described.staticDetails(),
  };
}

/** The current details, which the Web UI queries from the workflow. */
export async function told(handle: WorkflowHandle): Promise<string> {
  const metadata = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  return metadata.currentDetails ?? '';
}

/** The ids of the workflows that a filter of the Web UI's list finds, once there are `count`. */
export function listed(client: Client, query: string, count = 1): Promise<string[]> {
  return waitFor(
    async () => {
      const ids: string[] = [];
      for await (const { workflowId } of client.workflow.list({ query })) ids.push(workflowId);
      return ids.length === count ? ids.sort() : null;
    },
    { what: `${count} workflows by ${query}` },
  );
}

const UPSERTS = [
  'workflowPropertiesModifiedEventAttributes',
  'upsertWorkflowSearchAttributesEventAttributes',
] as const;

/** How many times the run has changed its memo or search attributes, without the marker of its patch. */
export async function changes(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) =>
    UPSERTS.some((name) => event[name] && !JSON.stringify(event[name]).includes('TemporalChangeVersion')),
  ).length;
}
