import { z } from 'zod';
import { type Route, route } from '../../../http/route.ts';
import type { FormatDeps } from '../format.ts';
import { dialect } from './dialect.ts';
import { alertmanagerStatus, RECEIVER } from './schema.ts';

/** The routes with which Alertmanager's clients ask about the server. */
export function statusRoutes({ clock }: FormatDeps): Route[] {
  const startedAt = new Date(clock()).toISOString();
  return [
    route({
      method: 'get',
      path: '/api/v2/receivers',
      role: 'read',
      tags: ['received alerts'],
      summary: 'The only receiver (Alertmanager API v2)',
      responses: { 200: { description: 'Its name', schema: z.array(z.object({ name: z.string() })) } },
      dialect,
      handle: async () => ({ status: 200, body: [RECEIVER] }),
    }),
    route({
      method: 'get',
      path: '/api/v2/silences',
      role: 'read',
      tags: ['received alerts'],
      summary: 'Silences (Alertmanager API v2)',
      responses: { 200: { description: 'Always empty: Tocsin has no silences', schema: z.array(z.never()) } },
      dialect,
      handle: async () => ({ status: 200, body: [] }),
    }),
    route({
      method: 'get',
      path: '/api/v2/status',
      role: 'read',
      tags: ['received alerts'],
      summary: 'Version and status (Alertmanager API v2)',
      responses: {
        200: {
          description: 'The status of this API in the form that Alertmanager’s clients expect',
          schema: alertmanagerStatus,
        },
      },
      dialect,
      handle: async () => ({
        status: 200,
        body: {
          cluster: { status: 'disabled' as const, peers: [] },
          // The version of Alertmanager whose API this is.
          versionInfo: {
            ...{ version: '0.28.0', revision: 'tocsin', branch: '', buildUser: '', buildDate: '' },
            goVersion: '',
          },
          config: {
            original: `route:\n  receiver: ${RECEIVER.name}\nreceivers:\n- name: ${RECEIVER.name}\n`,
          },
          uptime: startedAt,
        },
      }),
    }),
  ];
}
