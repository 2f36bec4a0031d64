import {
  condition,
  makeContinueAsNewFunc,
  patched,
  setCurrentDetails,
  upsertMemo,
  upsertSearchAttributes,
  type Workflow,
  workflowInfo,
} from '@temporalio/workflow';
import { type About, differing, type Installation, linkTo, openLink } from '../domain/temporal-ui/about.ts';
import { isOurs, keyOf } from './search-attributes.ts';

/**
 * Says whether this run keeps its memo and search attributes up to date. Runs that began under 0.1.0 do so
 * once they have reached the current code.
 */
export const shows = () => patched('shown');

/**
 * What the Temporal Web UI shows about a workflow, besides its id, which is mostly a UUID. The start has
 * already set the same values, so a run writes history only when they change.
 */
export class Shown {
  #installation: Installation | undefined;
  #about: About | undefined;

  /**
   * Sets the facts about the installation. Without them, only search attributes that the run already has are
   * updated.
   */
  setInstallation(installation: Installation | undefined): void {
    this.#installation = installation ?? this.#installation;
  }

  /** Updates the memo and the search attributes that differ. */
  upsert(about: About): void {
    this.#about = about;
    const { memo = {}, typedSearchAttributes: attributes } = workflowInfo();
    const setTo = (name: string) => attributes.get(keyOf(name));
    const api = this.#installation && { api: linkTo(this.#installation.api, about.path) };
    const words = differing({ ...about.memo, ...api }, (name) => memo[name] as string | undefined);
    const known = Object.entries(about.attributes).filter(
      ([name]) => this.#installation?.attributes.includes(name) || setTo(name) !== undefined,
    );
    const pairs = Object.entries(differing(Object.fromEntries(known), setTo)).map(([name, value]) => ({
      ...{ key: keyOf(name), value },
    }));
    if (Object.keys(words).length + pairs.length === 0 || !shows()) return;
    if (Object.keys(words).length > 0) upsertMemo(words);
    if (pairs.length > 0) upsertSearchAttributes(pairs);
  }

  /**
   * Sets the current details: Markdown that says what the workflow does and waits for. They cost no history,
   * because the Web UI reads them by a query.
   */
  setDetails(paragraphs: readonly string[]): void {
    const api = workflowInfo().memo?.api;
    const link = typeof api === 'string' && /^https?:/.test(api) ? [openLink(api)] : [];
    const title = this.#about ? [`**${this.#about.title}**`] : [];
    setCurrentDetails([...title, ...paragraphs, ...link].join('\n\n'));
  }
}

/** Waits until `so` returns true, at most for `inMs` milliseconds. The Web UI shows the summary. */
export const until = (so: () => boolean, inMs: number, summary: string) =>
  condition(so, Math.max(1, inMs), { summary });

/** Continues as new with the current memo and search attributes. The static summary cannot be passed on. */
export function continueShown<F extends Workflow>(...args: Parameters<F>): Promise<never> {
  const { memo, typedSearchAttributes } = workflowInfo();
  // Without them, the next run would get the attributes with which this run started. The server's own
  // attributes must not be set.
  const ours = typedSearchAttributes.getAll().filter(({ key }) => key.type === 'KEYWORD' && isOurs(key.name));
  return makeContinueAsNewFunc<F>({ ...(memo ? { memo } : {}), typedSearchAttributes: ours })(...args);
}
