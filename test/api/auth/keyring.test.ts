import assert from 'node:assert/strict';
import { FRESH_MS, GRACE_MS, Keyring } from '../../../api/auth/keyring.ts';
import { TooManyKeys } from '../../../api/http/problem.ts';
import type { Credential } from '../../../db/queries/keys/keys.ts';

const credentialOf = (hash: string): Credential => ({
  ...{ hash, id: `id of ${hash}`, name: hash, roles: ['read'], rate_limit: null, sources: null },
  ...{ expires_at: null, revoked: false },
});

/** A keyring over its own rows, with a clock that stands still until the test moves it. */
function ring() {
  const rows = new Map<string, Credential>();
  const asked: string[][] = [];
  const there = { now: 0, away: false, held: null as PromiseWithResolvers<void> | null };
  const keyring = new Keyring(
    async (hashes) => {
      asked.push([...hashes]);
      const found = hashes.flatMap((hash) => rows.get(hash) ?? []).map((row) => ({ ...row }));
      await there.held?.promise;
      if (there.away) throw new Error('connection refused');
      return found;
    },
    () => there.now,
  );
  const add = (hash: string) => rows.set(hash, credentialOf(hash));
  return { rows, asked, there, keyring, add };
}

describe('the cache of API keys', () => {
  it('a key is looked up once in five seconds, whether it exists or not', async () => {
    const { keyring, asked, there, add } = ring();
    add('a');
    for (const now of [0, 1, FRESH_MS - 1]) {
      there.now = now;
      assert.equal((await keyring.find('a'))?.id, 'id of a');
      assert.equal(await keyring.find('b'), null);
    }
    assert.deepEqual(asked, [['a'], ['b']]);
    there.now = FRESH_MS;
    await keyring.find('a');
    await keyring.find('b');
    assert.deepEqual(asked.slice(2), [['a'], ['b']]);
  });

  it('a key that is about to be stored cannot be checked, and is valid as soon as it is stored', async () => {
    const { keyring, add } = ring();
    keyring.expect('a');
    await assert.rejects(keyring.find('a'), { status: 503 });
    assert.equal(await keyring.find('b'), null);
    add('a');
    assert.equal((await keyring.find('a'))?.id, 'id of a');
  });

  it('a key that was revoked in another process is accepted for at most five seconds', async () => {
    assert.equal(FRESH_MS, 5000, 'as the documentation says');
    const { keyring, there, rows, add } = ring();
    add('a');
    await keyring.find('a');
    rows.get('a')!.revoked = true;
    there.now = FRESH_MS - 1;
    assert.equal((await keyring.find('a'))!.revoked, false);
    there.now = FRESH_MS;
    assert.equal((await keyring.find('a'))!.revoked, true);
  });

  it('a key that was revoked in this process is refused at once, even if a look-up is running', async () => {
    const { keyring, there, rows, add } = ring();
    add('a');
    add('b');
    await keyring.find('a');
    await keyring.find('b');
    there.now = FRESH_MS;
    there.held = Promise.withResolvers();
    const before = keyring.find('a');
    rows.get('a')!.revoked = true;
    keyring.forget(({ id }) => id === 'id of a');
    const after = keyring.find('a');
    there.held.resolve();
    assert.equal((await before)!.revoked, false, 'was let in before');
    assert.equal((await after)!.revoked, true);
    assert.equal((await keyring.find('a'))!.revoked, true);
  });

  it('requests that need the same key during its look-up share that look-up', async () => {
    const { keyring, asked, there, add } = ring();
    add('a');
    there.held = Promise.withResolvers();
    const guesses = Array.from({ length: 1000 }, (_, i) => keyring.find(`guess ${i % 500}`));
    const mine = keyring.find('a');
    there.held.resolve();
    assert.equal((await mine)?.id, 'id of a');
    assert.ok((await Promise.all(guesses)).every((found) => found === null));
    assert.deepEqual(
      asked.map((hashes) => hashes.length),
      [1, 501],
    );
  });

  it('wrong keys do not push known keys out of the cache, and the cache is bounded', async () => {
    const { keyring, asked, add } = ring();
    add('a');
    await keyring.find('a');
    for (let i = 0; i < 12_000; i += 1000) {
      await Promise.all(Array.from({ length: 1000 }, (_, j) => keyring.find(`guess ${i + j}`)));
    }
    const before = asked.length;
    await keyring.find('a');
    await keyring.find('guess 11999');
    assert.equal(asked.length, before);
    await keyring.find('guess 0');
    assert.equal(asked.length, before + 1, 'the oldest guess is forgotten');
  });

  it('a known key is accepted for five minutes while PostgreSQL is down, and is looked up again afterwards', async () => {
    assert.equal(GRACE_MS, 300_000, 'as the documentation says');
    const { keyring, there, rows, asked, add } = ring();
    add('a');
    await keyring.find('a');
    there.away = true;
    there.now = GRACE_MS - 1;
    assert.equal((await keyring.find('a'))?.id, 'id of a');
    await keyring.find('a');
    assert.equal(asked.length, 2, 'not asked for at every request');
    there.now = GRACE_MS + 1000;
    await assert.rejects(keyring.find('a'), { status: 503 });
    there.away = false;
    rows.get('a')!.revoked = true;
    assert.equal((await keyring.find('a'))!.revoked, true);
  });

  it('an unknown key is answered with 503 while PostgreSQL is down, not with 401', async () => {
    const { keyring, there, add } = ring();
    add('a');
    there.away = true;
    await assert.rejects(keyring.find('a'), { status: 503 });
    there.away = false;
    assert.equal((await keyring.find('a'))?.id, 'id of a');
  });

  it('look-ups beyond the queue’s limit are answered with 503; those in the queue succeed', async () => {
    const { keyring, there } = ring();
    there.held = Promise.withResolvers();
    const all = Array.from({ length: 6000 }, (_, i) =>
      keyring.find(`guess ${i}`).catch(({ status }) => status),
    );
    there.held.resolve();
    const answers = await Promise.all(all);
    assert.equal(answers.filter((answer) => answer === null).length, 5001);
    assert.equal(answers.filter((answer) => answer === 503).length, 999);
  });

  it('look-ups refused because the queue is full are not reported as a PostgreSQL failure', async () => {
    const { keyring, there } = ring();
    there.held = Promise.withResolvers<void>();
    const waiting = Array.from({ length: 5001 }, (_, n) => keyring.find(`key ${n}`));
    await assert.rejects(keyring.find('one more'), TooManyKeys);
    there.held.resolve();
    assert.deepEqual(new Set(await Promise.all(waiting)), new Set([null]));
  });
});
