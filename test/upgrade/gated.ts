import { type Ingest, StoreUnavailable } from '../../ingest/outcome.ts';

/** Refuses events of some sources as if PostgreSQL were down. */
export function gated(ingest: Ingest, refusing: ReadonlySet<string>): Ingest {
  const accept: Ingest['accept'] = async (events) => {
    if (events.some(({ source_id }) => refusing.has(source_id))) throw new StoreUnavailable('away');
    return ingest.accept(events);
  };
  return { ...ingest, accept };
}
