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
 * Whether this run keeps its memo and search attributes up to date. Runs that began under 0.1.0 do so from
 * the step on at which they found today's code.
 */
export const shows = () => patched('shown');

/**
 * What the Temporal Web UI shows of this workflow beside its id, which is a UUID for most. Whoever started it
 * has set the same already, so a run adds to its history only what has changed since.
 */
export class Shown {
  #installation: Installation | undefined;
  #about: About | undefined;

  /** Without an installation, only search attributes that the run already has are updated. */
  setInstallation(installation: Installation | undefined): void {
    this.#installation = installation ?? this.#installation;
  }

  /** Upserts what differs of the memo and the search attributes. */
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
   * Sets the current details: in Markdown, what the workflow does and waits for now. They cost no history,
   * because the Web UI reads them by a query.
   */
  setDetails(paragraphs: readonly string[]): void {
    const api = workflowInfo().memo?.api;
    const link = typeof api === 'string' && /^https?:/.test(api) ? [openLink(api)] : [];
    const title = this.#about ? [`**${this.#about.title}**`] : [];
    setCurrentDetails([...title, ...paragraphs, ...link].join('\n\n'));
  }
}

/** Waits until `so` is true, at most for `inMs`. The Web UI shows the summary. */
export const until = (so: () => boolean, inMs: number, summary: string) =>
  condition(so, Math.max(1, inMs), { summary });

/** Continues as new with the present memo and search attributes. Temporal cannot pass on a static summary. */
export function continueShown<F extends Workflow>(...args: Parameters<F>): Promise<never> {
  const { memo, typedSearchAttributes } = workflowInfo();
  // Without them the next run would get those that this run started with. Attributes of the server itself
  // must not be set.
  const ours = typedSearchAttributes.getAll().filter(({ key }) => key.type === 'KEYWORD' && isOurs(key.name));
  return makeContinueAsNewFunc<F>({ ...(memo ? { memo } : {}), typedSearchAttributes: ours })(...args);
}
