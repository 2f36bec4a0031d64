import type { IncomingMessage } from 'node:http';
import { ROLES, type Role } from '../domain/role.ts';

/** Who asks. */
export interface Principal {
  /** The key's id; null where none was asked for. */
  id: string | null;
  /** For logs and the record: the key's name. */
  name: string;
  roles: readonly Role[];
}

/** Decides who may come in. */
export interface Access {
  /**
   * Says who sent a request, before anything of its body is read.
   * @param role what its route asks for; null: anyone may
   * @throws Problem 401 without a key that is known, 403 with one that lacks the role, 429 with one over its rate
   */
  admit(request: IncomingMessage, role: Role | null): Promise<Principal>;
  /** Counts events against a key's own rate. @throws Problem 429, before any of them is stored */
  spend(principal: Principal, events: number): Promise<void>;
}

/** Everyone may do everything: for an API that only its own machine reaches. */
export const openAccess: Access = {
  admit: async () => ({ id: null, name: 'anyone', roles: ROLES }),
  spend: async () => {},
};
