import { z } from 'zod';
import { integer } from '../../domain/settings.ts';

/** Settings: how to connect to PostgreSQL. `databaseUrl` makes one URL from the parts. */
export const databaseSettings = {
  /** URL of PostgreSQL, for events, rules and incidents. */
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  /** The URL in parts, which need no escaping. If both are set, DATABASE_URL counts. */
  DATABASE_HOST: z.string().optional(),
  DATABASE_PORT: integer(1, 65535).default(5432),
  DATABASE_USER: z.string().min(1).default('tocsin'),
  DATABASE_PASSWORD: z.string().optional(),
  DATABASE_NAME: z.string().min(1).default('tocsin'),
  /**
   * The role that the API and the workers log in as, if it is not the role that migrates. Migrations grant it
   * what it needs.
   */
  DATABASE_GRANT_TO: z.string().min(1).optional(),
  /** How many connections to PostgreSQL each process may have. */
  DATABASE_POOL: integer(2, 100).default(10),
};
