/**
 * A wrong setting. The message is one sentence that names the setting and the reason, and contains no secret.
 */
export class ConfigError extends Error {
  override name = 'ConfigError';
}
