/** Where each part of a stage registers how it is closed. The last part closes first. */
export type Closing = Pick<AsyncDisposableStack, 'defer'>;

/**
 * Opens the parts of a stage, and adds the function that closes them all. If a part cannot be opened, those
 * before it are closed.
 */
export async function openStage<Parts extends object>(
  open: (closing: Closing) => Parts | Promise<Parts>,
): Promise<Parts & { close(): Promise<void> }> {
  const parts = new AsyncDisposableStack();
  try {
    return { ...(await open(parts)), close: () => parts.disposeAsync() };
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}
