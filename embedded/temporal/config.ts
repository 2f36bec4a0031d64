import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../..', 'temporal-config');

/**
 * The dynamic configuration of a cluster, as `--dynamic-config-value` arguments for the dev server.
 * @throws if a value has constraints, which these arguments cannot express
 */
export function dynamicConfigFlags(): string[] {
  const folder = join(root, 'dynamicconfig');
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .flatMap((file) => Object.entries(parse(readFileSync(join(folder, file), 'utf8'))).flatMap(flag));
}

function flag([key, values]: [string, unknown]): string[] {
  const [only, ...more] = values as { value: unknown; constraints?: object }[];
  if (!only || more.length > 0 || Object.keys(only.constraints ?? {}).length > 0) {
    throw new Error(`temporal-config: ${key} needs exactly one value, without constraints`);
  }
  return ['--dynamic-config-value', `${key}=${JSON.stringify(only.value)}`];
}
