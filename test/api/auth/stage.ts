import { pino } from 'pino';
import { type Door, openDoor } from '../../../api/auth/door.ts';
import type { ApiDeps } from '../../../api/deps.ts';
import { addressesBehind } from '../../../api/http/address.ts';
import { makeSecret } from '../../../domain/keys/key.ts';
import type { Role } from '../../../domain/keys/role.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Stage, stage, TOKEN } from '../stage.ts';

export interface KeyStage extends Stage {
  /** The first key, which has every role. */
  root: string;
  /** Creates a key. */
  key(
    roles: Role[],
    more?: { rate_limit?: number; expires_at?: string; name?: string; sources?: string[] },
  ): Promise<MadeKey>;
  /** Sends a request with a key. */
  by(key: string, method: string, path: string, body?: unknown): ReturnType<Stage['call']>;
  door: Door;
  /** Moves the clock forward, in milliseconds, so that keys expire. */
  advance(ms: number): void;
}

export interface MadeKey {
  id: string;
  key: string;
  name: string;
}

export const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

/** An API that requires keys. */
export async function keyStage({
  settings = {},
  temporal = 'away',
  proxies = [],
}: {
  settings?: Partial<ApiDeps['settings']>;
  /** Proxies whose reported client addresses the API believes. */
  proxies?: string[];
  temporal?: 'away' | 'working';
} = {}): Promise<KeyStage> {
  const root = makeSecret('key');
  let ahead = 0;
  let made = 0;
  const clock = () => Date.now() + ahead;
  let door!: Door;
  const api = await stage({
    temporal,
    change: ({ orm, ...deps }) => {
      const log = pino({ level: 'silent' });
      const addresses = addressesBehind(proxies);
      const { publicUrl } = { ...deps.settings, ...settings };
      door = openDoor({
        orm,
        clock,
        log,
        auth: 'keys',
        ingestToken: TOKEN,
        bootstrapKey: root,
        publicUrl,
        addresses,
      });
      return {
        clock,
        addresses,
        access: door.access,
        keyring: door.keyring,
        settings: { ...deps.settings, ...settings },
      };
    },
  });
  const by: KeyStage['by'] = (key, method, path, body) => api.call(method, path, body, bearer(key));
  await waitFor(async () => (await by(root, 'GET', '/keys')).status === 200, { what: 'the first key' });
  return {
    ...api,
    root,
    by,
    door,
    advance: (ms) => {
      ahead += ms;
    },
    async key(roles, more = {}) {
      const { status, body } = await by(root, 'POST', '/keys', {
        ...{ name: `${roles.join(' ')} ${++made}`, roles },
        ...more,
      });
      if (status !== 201) throw new Error(JSON.stringify(body));
      return body as MadeKey;
    },
    async close() {
      await door.close();
      await api.close();
    },
  };
}
