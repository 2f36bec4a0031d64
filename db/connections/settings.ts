import { z } from 'zod';
import { integer } from '../../domain/settings.ts';

/** The settings that say how to connect to PostgreSQL. `databaseUrl` makes one URL of the parts. */
export const databaseSettings = {
  /** PostgreSQL for events, rules and incidents. */
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  /** The same in parts, which need no escapes. DATABASE_URL wins where both are set. */
  DATABASE_HOST: z.string().optional(),
  DATABASE_PORT: integer(1, 65535).default(5432),
  DATABASE_USER: z.string().min(1).default('tocsin'),
  DATABASE_PASSWORD: z.string().optional(),
  DATABASE_NAME: z.string().min(1).default('tocsin'),
  /**
   * The role that the API and the workers log in as, when it is not the one that migrates: migrations grant
   * it what it needs.
   */
  DATABASE_GRANT_TO: z.string().min(1).optional(),
  /** Connections each process may hold to PostgreSQL. */
  DATABASE_POOL: integer(2, 100).default(10),
};
