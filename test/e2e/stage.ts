import { type Receiver, receiver } from '../incidents/channels/receiver.ts';
import { ROLES, type RoleName, System } from '../support/system.ts';

export interface Stage<Hook extends Receiver = Receiver> {
  system: System;
  /** The webhook that receives the notices. */
  hook: Hook;
}

/**
 * Starts a system with these roles and a webhook for the tests of the surrounding `describe`, and stops it
 * after the last one. If a test fails, it prints the warnings of the system's processes.
 */
export function stage(roles?: readonly RoleName[]): Stage;
export function stage<Hook extends Receiver>(
  roles: readonly RoleName[],
  makeHook: () => Promise<Hook>,
): Stage<Hook>;
export function stage(
  roles: readonly RoleName[] = ROLES,
  makeHook: () => Promise<Receiver> = receiver,
): Stage {
  const there = {} as Stage;
  before(async function () {
    this.timeout(180_000);
    there.hook = await makeHook();
    const channels = [{ kind: 'webhook', name: 'ops', url: there.hook.url }];
    there.system = await System.start(roles, { CHANNELS: JSON.stringify(channels) });
  });
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(there.system.complaints());
  });
  after(async () => {
    await there.system?.stop();
    await there.hook?.close();
  });
  return there;
}
