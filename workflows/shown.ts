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
import { type About, differing, type Here, linkTo, openLink } from '../domain/temporal-ui/about.ts';
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
  #here: Here | undefined;
  #about: About | undefined;

  /** Takes what a worker told. Without it, only search attributes that the run already has are updated. */
  learn(here: Here | undefined): void {
    this.#here = here ?? this.#here;
  }

  /** Updates the memo and the search attributes that differ. */
  keep(about: About): void {
    this.#about = about;
    const { memo = {}, typedSearchAttributes: attributes } = workflowInfo();
    const setTo = (name: string) => attributes.get(keyOf(name));
    const api = this.#here && { api: linkTo(this.#here.api, about.path) };
    const words = differing({ ...about.memo, ...api }, (name) => memo[name] as string | undefined);
    const known = Object.entries(about.attributes).filter(
      ([name]) => this.#here?.attributes.includes(name) || setTo(name) !== undefined,
    );
    const pairs = Object.entries(differing(Object.fromEntries(known), setTo)).map(([name, value]) => ({
      ...{ key: keyOf(name), value },
    }));
    if (Object.keys(words).length + pairs.length === 0 || !shows()) return;
    if (Object.keys(words).length > 0) upsertMemo(words);
    if (pairs.length > 0) upsertSearchAttributes(pairs);
  }

  /**
   * Says in Markdown what the workflow does and waits for now. It costs no history: the Web UI asks by a
   * query.
   */
  tell(paragraphs: readonly string[]): void {
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
