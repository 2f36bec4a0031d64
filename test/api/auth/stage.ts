import { type Door, openDoor } from '../../../api/auth/door.ts';
import type { ApiDeps } from '../../../api/deps.ts';
import { makeSecret } from '../../../domain/keys/key.ts';
import type { Role } from '../../../domain/keys/role.ts';
import { openStage } from '../../support/stage/stage.ts';
import { waitFor } from '../../support/wait-for.ts';
import { openApi, type Stage, TOKEN } from '../stage.ts';

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

type Options = {
  settings?: Partial<ApiDeps['settings']>;
  /** Proxies whose reported client addresses the API believes. */
  proxies?: string[];
  temporal?: 'away' | 'working';
};

export const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

/** An API that requires keys. */
export const keyStage = ({
  settings = {},
  temporal = 'away',
  proxies = [],
}: Options = {}): Promise<KeyStage> =>
  openStage(async (closing) => {
    const root = makeSecret('key');
    let ahead = 0;
    let made = 0;
    let door!: Door;
    const clock = () => Date.now() + ahead;
    const change = ({ orm, log, addresses, ...usual }: ApiDeps) => {
      const all = { ...usual.settings, ...settings };
      const { publicUrl } = all;
      door = openDoor({
        ...{ orm, clock, log, auth: 'keys', ingestToken: TOKEN, bootstrapKey: root, publicUrl, addresses },
      });
      closing.defer(() => door.close());
      return { clock, access: door.access, keyring: door.keyring, settings: all };
    };
    const api = await openApi(closing, { temporal, proxies, change });
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
        const name = `${roles.join(' ')} ${++made}`;
        const { status, body } = await by(root, 'POST', '/keys', { name, roles, ...more });
        if (status !== 201) throw new Error(JSON.stringify(body));
        return body as MadeKey;
      },
    };
  });
