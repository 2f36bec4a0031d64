import type { Orm, Sql } from '../../db/orm.ts';
import type { GroupStanding, Version } from '../../db/queries/rules/judging.ts';
import type { IncidentWords } from '../../domain/incidents/transitions.ts';
import type { Episode, Horizon } from '../../domain/rules/episodes.ts';
import { kindOf } from '../../domain/rules/kinds/index.ts';
import type { RuleKind } from '../../domain/rules/kinds/kind.ts';
import { backfill } from './backfill.ts';
import { type Described, describeCounted } from './describe.ts';
import { readReceived } from './received.ts';
import { takeUpReceived } from './take-up-received.ts';
import { type GroupToWeigh, type Weighed, weigh } from './weigh.ts';

/** What was read of some groups of a revision, to judge them. */
export interface Reading {
  /** The time from which on incidents of a group may change, epoch ms; absent: when the group changed. */
  readonly since: ReadonlyMap<string, number>;
  /** Computes for each group when the rule fired. */
  weigh(groups: readonly GroupToWeigh[], horizon: Horizon): Promise<ReadonlyMap<string, Weighed>>;
  /** Makes the texts of an incident for an episode that `weigh` found. */
  describe(which: Described, episode: Episode): Promise<IncidentWords>;
  /** Does what must follow once incidents are written. Returns further incidents that changed. */
  finish(): Promise<string[]>;
}

/** How a kind of rule reads the data that decides its condition. */
interface Source {
  /**
   * Reads the groups that changed, from `from` on (epoch ms). `standings`: the standings that the last
   * judging stored.
   */
  read(
    db: Sql,
    version: Version,
    groups: readonly { key: string; from: number }[],
    standings: ReadonlyMap<string, GroupStanding>,
  ): Promise<Reading>;
  /**
   * Makes a new revision ready to be judged. @param progress called after each part of the work; if it
   * throws, the work ends, and the next call continues
   */
  makeReady(orm: Orm, version: Version, options: { progress?: () => void }): Promise<void>;
}

const SOURCES: Record<RuleKind<{ kind: string }>['reads'], Source> = {
  events: {
    read: async (db, version) => ({
      since: new Map(),
      weigh: (groups, horizon) => weigh(db, version, groups, horizon),
      describe: (which, episode) => describeCounted(db, which, episode),
      finish: async () => [],
    }),
    makeReady: backfill,
  },
  'received alerts': { read: readReceived, makeReady: takeUpReceived },
};

export const sourceOf = ({ definition }: Version): Source => SOURCES[kindOf(definition.condition).reads];
