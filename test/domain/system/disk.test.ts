import assert from 'node:assert/strict';
import { type DiskState, judgeDisk } from '../../../domain/system/disk.ts';

const GIB = 2 ** 30;
const LIMITS = { warnPercent: 15, refusePercent: 5 };

describe('a disk', () => {
  const judge = (freeGib: number, totalGib: number, before: DiskState = 'ok') =>
    judgeDisk({ free: freeGib * GIB, total: totalGib * GIB }, LIMITS, before);

  it('is low below one percentage of free space, and full below another', () => {
    assert.equal(judge(15, 100), 'ok');
    assert.equal(judge(14.9, 100), 'low');
    assert.equal(judge(5, 100), 'low');
    assert.equal(judge(4.9, 100), 'full');
    assert.equal(judge(0, 100), 'full');
  });

  it('keeps its state until there is clearly more space', () => {
    assert.equal(judge(5.9, 100, 'full'), 'full');
    assert.equal(judge(6.1, 100, 'full'), 'low');
    assert.equal(judge(17.9, 100, 'low'), 'low');
    assert.equal(judge(18.1, 100, 'low'), 'ok');
    assert.equal(judge(18.1, 100, 'full'), 'ok');
  });

  it('that is large is ok even at a small percentage', () => {
    assert.equal(judge(51, 10_000), 'ok');
    assert.equal(judge(49, 10_000), 'low');
    assert.equal(judge(11, 10_000), 'low');
    assert.equal(judge(9, 10_000), 'full');
  });

  it('that is small is full while PostgreSQL still has space for its WAL', () => {
    const MIB = 1 / 1024;
    assert.equal(judge(513 * MIB, 0.7), 'ok');
    assert.equal(judge(511 * MIB, 0.7), 'low');
    assert.equal(judge(255 * MIB, 0.7), 'full');
    assert.equal(judge(300 * MIB, 0.7, 'full'), 'full');
  });

  it('is never low if the limits are 0', () => {
    assert.equal(judgeDisk({ free: 0, total: GIB }, { warnPercent: 0, refusePercent: 0 }, 'ok'), 'ok');
  });
});
