/**
 * An error that a person must fix before Tocsin can start. Its message is one sentence, shown without a
 * stack.
 */
export class StartupError extends Error {
  override name = 'StartupError';
}

/** The code of a failed system call (`ENOSPC`, `EACCES` …); undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Converts a failed file operation on `path` into a sentence for the person who started Tocsin. Other errors
 * are returned unchanged, so that our own bugs keep their stack.
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

/** The error for a disk without free space. */
export function diskFull(path: string): string {
  return `The disk that holds ${path} is full: free some space and start again.`;
}
