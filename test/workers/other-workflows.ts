import { sleep } from '@temporalio/workflow';

/** A workflow of the product by its name alone: its history does not fit the product's code. */
export async function deadLetter(): Promise<void> {
  await sleep('1 hour');
}
