import { sleep } from '@temporalio/workflow';

/** A workflow with a real workflow's name, whose history does not fit the real code. */
export async function deadLetter(): Promise<void> {
  await sleep('1 hour');
}
