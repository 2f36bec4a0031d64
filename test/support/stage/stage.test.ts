import assert from 'node:assert/strict';
import { openStage } from './stage.ts';

describe('a stage', () => {
  it('closes its parts, the last one first', async () => {
    const closed: string[] = [];
    const stage = await openStage((closing) => {
      for (const part of ['first', 'second']) closing.defer(() => void closed.push(part));
      return { part: 'second' };
    });
    assert.equal(stage.part, 'second');
    assert.deepEqual(closed, []);
    await stage.close();
    assert.deepEqual(closed, ['second', 'first']);
  });

  it('closes what is open, and fails, if a part cannot be opened', async () => {
    const closed: string[] = [];
    const opening = openStage((closing) => {
      closing.defer(() => void closed.push('first'));
      throw new Error('no second part');
    });
    await assert.rejects(opening, /no second part/);
    assert.deepEqual(closed, ['first']);
  });

  it('closes the other parts if one cannot be closed, and fails', async () => {
    const closed: string[] = [];
    const stage = await openStage((closing) => {
      closing.defer(() => void closed.push('first'));
      closing.defer(() => Promise.reject(new Error('stuck')));
      return {};
    });
    await assert.rejects(stage.close(), /stuck/);
    assert.deepEqual(closed, ['first']);
  });
});
