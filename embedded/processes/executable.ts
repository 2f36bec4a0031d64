import { accessSync, constants, statSync } from 'node:fs';

/** Says whether the file exists and we may execute it. */
export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
