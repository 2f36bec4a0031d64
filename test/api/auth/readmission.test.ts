import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { endWithAdmission } from '../../../api/auth/readmission.ts';
import { Problem, Unavailable } from '../../../api/http/problem.ts';
import { waitFor } from '../../support/wait-for.ts';

describe('the authorization of a running stream', () => {
  /** A stream whose admission is checked again and again, and fails when the test says so. */
  const streaming = () => {
    const there = { asked: 0, error: null as unknown };
    const stream = new PassThrough();
    const admit = async () => {
      there.asked++;
      if (there.error) throw there.error;
    };
    endWithAdmission(stream, admit, 1);
    const asked = (times: number) => waitFor(() => there.asked >= times, { what: 'the key to be asked for' });
    return { stream, there, asked };
  };

  it('the stream continues while its key is valid, and while PostgreSQL cannot tell', async () => {
    const { stream, there, asked } = streaming();
    await asked(3);
    there.error = new Unavailable('PostgreSQL is away', 1);
    await asked(there.asked + 3);
    assert.ok(!stream.destroyed);
    stream.destroy();
  });

  it('the stream ends when its key is revoked or loses the role', async () => {
    for (const status of [401, 403]) {
      const { stream, there } = streaming();
      there.error = new Problem(status, 'no more');
      await waitFor(() => stream.destroyed, { what: 'the stream to end' });
    }
  });

  it('a stream that has ended checks its key no more', async () => {
    const { stream, there, asked } = streaming();
    await asked(1);
    stream.destroy();
    await waitFor(() => stream.closed, { what: 'the stream to close' });
    const { asked: before } = there;
    const other = streaming();
    await other.asked(5);
    other.stream.destroy();
    assert.equal(there.asked, before);
  });
});
