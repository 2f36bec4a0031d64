/** One sentence that says which setting is wrong and why, and shows no secret. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}
