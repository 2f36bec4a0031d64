import assert from 'node:assert/strict';
import { ServiceError } from '@temporalio/client';
import { reasonOf } from '../../../api/temporal.ts';

const failed = (code: number) =>
  new ServiceError('the call failed', {
    cause: Object.assign(new Error('details'), { code, details: 'x', metadata: {} }),
  });

describe('an error of Temporal', () => {
  for (const [code, sentence] of [
    [4, /did not answer in time; the request may still be carried out/],
    [7, /refuses Tocsin's credentials/],
    [8, /accepts no more requests/],
    [14, /^Temporal is unavailable$/],
    [3, /refused the request/],
  ] as const) {
    it(`gRPC code ${code} is answered with the status that fits it`, () =>
      assert.match(reasonOf(failed(code)), sentence));
  }
});
