import { type Door, openDoor } from '../../../api/auth/door.ts';
import type { ApiDeps } from '../../../api/deps.ts';
import { makeSecret } from '../../../domain/keys/key.ts';
import type { Role } from '../../../domain/keys/role.ts';
import { openStage } from '../../support/stage/stage.ts';
import { waitFor } from '../../support/wait-for.ts';
import { openApi, TOKEN } from '../stage.ts';

export type KeyStage = Awaited<ReturnType<typeof keyStage>>;

export interface MadeKey {
  id: string;
  key: string;
  name: string;
}

type NewKey = { rate_limit?: number; expires_at?: string; name?: string; sources?: string[] };

type Options = {
  settings?: Partial<ApiDeps['settings']>;
  /** Proxies whose reported client addresses the API believes. */
  proxies?: string[];
  temporal?: 'away' | 'working';
};

export const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

/** An API that requires keys. */
export const keyStage = ({ settings = {}, temporal = 'away', proxies = [] }: Options = {}) =>
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
    /** Sends a request with a key. */
    const by = (key: string, method: string, path: string, body?: unknown) =>
      api.call(method, path, body, bearer(key));
    await waitFor(async () => (await by(root, 'GET', '/keys')).status === 200, { what: 'the first key' });
    return {
      ...api,
      /** The first key, which has every role. */
      root,
      by,
      door,
      /** Moves the clock forward, in milliseconds, so that keys expire. */
      advance: (ms: number) => {
        ahead += ms;
      },
      /** Creates a key. */
      async key(roles: Role[], more: NewKey = {}): Promise<MadeKey> {
        const name = `${roles.join(' ')} ${++made}`;
        const { status, body } = await by(root, 'POST', '/keys', { name, roles, ...more });
        if (status !== 201) throw new Error(JSON.stringify(body));
        return body as MadeKey;
      },
    };
  });
