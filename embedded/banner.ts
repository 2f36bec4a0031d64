export type Ready = {
  apiUrl: string;
  uiUrl?: string;
  dataDir: string;
  auth: 'open' | 'keys';
  /** How many samples were added; absent with SAMPLES=off. */
  samples?: { producers: number; rules: number };
};

/** The text that `npm start` prints when everything runs. Scripts may wait for its first line. */
export function readyBlock({ apiUrl, uiUrl, dataDir, auth, samples }: Ready): string {
  const rows: [string, string][] = [
    ['Start here', `${apiUrl}/`],
    ['API documentation', `${apiUrl}/docs`],
    ['Events', `${apiUrl}/events`],
    ['Incidents', `${apiUrl}/incidents`],
    ['System status', `${apiUrl}/status`],
    ...(uiUrl ? [['Temporal', uiUrl] as [string, string]] : []),
    ['Data and logs', dataDir],
  ];
  const wide = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, value]) => `    ${label.padEnd(wide)}   ${value}`);
  return [
    `  Tocsin is ready at ${apiUrl}`,
    ...['', ...lines, ''],
    ...authLines[auth],
    ...samplesLines(samples),
    '  Ctrl-C stops everything; the next "npm start" goes on where this one stopped.',
  ].join('\n');
}

const authLines: Record<Ready['auth'], string[]> = {
  open: ['  Everyone on this machine can use it without a key; nobody else can reach it.', ''],
  keys: ['  The API requires keys: use the one in BOOTSTRAP_KEY, and create others with POST /keys.', ''],
};

function samplesLines(samples: Ready['samples']): string[] {
  if (!samples) return [];
  return [
    '  Seven sample producers send about 40 events a second; within a minute one of them goes',
    '  wild, and an incident opens and resolves again. "npm run samples -- remove" removes them.',
    '',
  ];
}
