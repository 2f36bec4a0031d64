import assert from 'node:assert/strict';
import { finalityOf, horizonOf } from '../../../domain/rules/finality.ts';
import { type Condition, kindOf } from '../../../domain/rules/kinds/index.ts';
import { RULE_DEFAULTS } from '../../../domain/rules/rule.ts';
import { atLeast, below, type Direction, type Test } from '../../../domain/rules/series.ts';

const comparison = (moreEvents: Direction, opens: Test<number>, keeps = opens) => ({
  moreEvents,
  tests: { opens, keeps },
});
const [clock, watermark] = [2000, 1000];

describe('the finality of a rule', () => {
  it('lets the clock open and the watermark end what more events can only prolong', () => {
    const highest = comparison('up', atLeast(3), atLeast(2));
    assert.equal(finalityOf(highest), 'truer');
    assert.deepEqual(horizonOf(highest, clock, watermark), { openUpTo: clock, endUpTo: watermark });
    assert.equal(finalityOf(comparison('down', below(3))), 'truer');
  });

  it('lets the watermark open and the clock end what more events can only end', () => {
    const few = comparison('up', below(3));
    assert.equal(finalityOf(few), 'falser');
    assert.deepEqual(horizonOf(few, clock, watermark), { openUpTo: watermark, endUpTo: clock });
    assert.equal(finalityOf(comparison('down', atLeast(3))), 'falser');
  });

  it('lets the watermark decide both if more events can do either', () => {
    const mean = comparison('either', atLeast(3));
    assert.equal(finalityOf(mean), 'either');
    assert.deepEqual(horizonOf(mean, clock, watermark), { openUpTo: watermark, endUpTo: watermark });
  });

  it('lets the watermark decide both if opening and recovery compare in opposite directions', () => {
    assert.equal(finalityOf(comparison('up', atLeast(3), below(9))), 'either');
  });

  const conditions: Condition[] = [
    { kind: 'count', threshold_count: 5, window_seconds: 60 },
    { kind: 'received', protocol: 'pagerduty' },
  ];
  for (const condition of conditions) {
    it(`is that of growing counts for ${condition.kind}`, () => {
      const { moreEvents, tests } = kindOf(condition);
      assert.equal(finalityOf({ moreEvents, tests: tests(condition, RULE_DEFAULTS) }), 'truer');
    });
  }
});
