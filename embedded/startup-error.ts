/**
 * Something a person has to put right before it can start: its message is one sentence for them, shown
 * without a stack.
 */
export class StartupError extends Error {
  override name = 'StartupError';
}

/** The code of a failed system call (`ENOSPC`, `EACCES` …), or undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Turns a failed file operation on `path` into a sentence for whoever started us.
 * Errors that are no system call's are returned as they are, so a defect of ours keeps its stack.
 */
export function fileError(path: string, error: unknown): unknown {
  switch (systemCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new StartupError(diskFull(path));
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new StartupError(
        `${path} cannot be written: check who owns it, or choose another place with DATA_DIR.`,
      );
    case 'ENOTDIR':
    case 'EEXIST':
    case 'EISDIR':
      return new StartupError(
        `${path} is not a directory: move it away, or choose another place with DATA_DIR.`,
      );
    default:
      return error;
  }
}

/** The sentence for a disk without space left. */
export function diskFull(path: string): string {
  return `The disk that holds ${path} is full: free some space and start again.`;
}
