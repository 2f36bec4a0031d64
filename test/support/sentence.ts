import assert from 'node:assert/strict';
import { StartupError } from '../../embedded/startup-error.ts';

/** Checks that `promise` is rejected with an error of one line that matches `message`. */
export async function rejectsWithSentence(promise: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof StartupError, `not a StartupError: ${error}`);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}
