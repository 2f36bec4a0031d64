import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export type Service = {
  image?: string;
  build?: string;
  init?: boolean;
  user?: string;
  restart?: string;
  command?: string[];
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  pull_policy?: string;
  ports?: string[];
  volumes?: string[];
  stop_grace_period?: string;
  profiles?: string[];
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  pids_limit?: number;
  mem_limit?: string;
  logging?: { driver: string; options: Record<string, string> };
};

export const root = join(import.meta.dirname, '../..');
/** Reads a file of the project. */
export const read = (file: string) => readFileSync(join(root, file), 'utf8');
export const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
export const services = Object.entries(compose.services);
/** The services that run our image. */
export const ours = services.filter(([, { image }]) => image === 'tocsin');
/** The script that a service runs. Options for Node may come before it. */
export const scriptOf = (service: Service) => service.command?.find((word) => word.endsWith('.ts')) ?? '';

/** What Compose makes of `${NAME:-default}` and `${NAME:?reason}` if only required variables are set. */
export function substituted(value: string): string {
  return value.replace(/\$\{\w+:-(.*?)\}/g, '$1').replace(/\$\{\w+:\?.*?\}/g, 'a/secret#of my@own');
}
