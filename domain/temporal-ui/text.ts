/**
 * Makes names and messages safe to show in the Temporal Web UI. They may contain Markdown, HTML, characters
 * that reverse a line, kilobytes of text, or a secret that somebody put there by mistake.
 */

/** How many characters of a text are searched for secrets. The rest is dropped. */
const MOST_LOOKED_AT = 4000;
const HIDDEN = '***';

const ANY_URL = /\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s"'<>`]+/gi;
const SECRETS: readonly [RegExp, string][] = [
  [/\b(bearer|basic)\s+[^\s,;"']{6,}/gi, `$1 ${HIDDEN}`],
  [
    /\b((?:access[-_]?|auth[-_]?)?token|secret|password|passwd|pwd|api[-_]?key|authorization)("?\s*[=:]\s*"?)(?!bearer |basic )[^\s,;"']+/gi,
    `$1$2${HIDDEN}`,
  ],
  // Tocsin's own keys, and those of others with a known prefix.
  [/\btk[A-Za-z0-9]{30}\b/g, HIDDEN],
  [/\b(?:whsec_|gh[a-z]_|github_pat_|xox[a-z]-|sk[-_]|eyJ)[A-Za-z0-9_+/=.-]{10,}/g, HIDDEN],
  [/\b(?:[0-9a-f]{32,}|[0-9A-F]{32,})\b/g, HIDDEN],
  // A long run of upper-case letters, lower-case letters and digits is probably random.
  [/\b(?=[A-Za-z+/]*\d)(?=[0-9a-z+/]*[A-Z])(?=[0-9A-Z+/]*[a-z])[A-Za-z0-9+/]{32,}={0,2}/g, HIDDEN],
];

/** One line without secrets and invisible characters. As JSON it has at most `mostBytes` bytes in UTF-8. */
export function plainLine(text: string, mostBytes = 200): string {
  const visible = text
    .slice(0, MOST_LOOKED_AT)
    .toWellFormed()
    .replace(/[\s\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    // The joiners stay: languages and emoji need them.
    .replace(/(?![\u200c\u200d])\p{Cf}/gu, '')
    .trim();
  const open = visible.replace(ANY_URL, withoutSecretParts);
  return cut(
    SECRETS.reduce((rest, [pattern, instead]) => rest.replace(pattern, instead), open),
    mostBytes,
  );
}

/** The same in Markdown, as code: nothing in it is markup, a link or HTML. */
export function codeSpan(text: string, mostBytes = 200): string {
  return `\`${plainLine(text, mostBytes).replaceAll('`', "'") || '–'}\``;
}

/** The URL without its user, its query, and parts of its path that are as long as a secret. */
function withoutSecretParts(url: string): string {
  const [, scheme = '', authority = '', path = '', query = ''] =
    /^([^:]+:\/\/)([^/?#]*)([^?#]*)(.*)$/.exec(url) ?? [];
  const host = authority.includes('@')
    ? `${HIDDEN}@${authority.slice(authority.lastIndexOf('@') + 1)}`
    : authority;
  const parts = path
    .split('/')
    .map((part) => (/^(?=.*\d)[^.]{20,}$/.test(part) && !isUuid(part) ? HIDDEN : part));
  return `${scheme}${host}${parts.join('/')}${query.startsWith('?') ? `?${HIDDEN}` : ''}`;
}

const isUuid = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);

function cut(text: string, mostBytes: number): string {
  let bytes = 0;
  let fits = '';
  for (const character of text) {
    bytes += bytesOf(character);
    // Three bytes are left for the ellipsis.
    if (bytes <= mostBytes - 3) fits += character;
    if (bytes > mostBytes) return `${fits}…`;
  }
  return text;
}

function bytesOf(character: string): number {
  const code = character.codePointAt(0)!;
  if (character === '"' || character === '\\') return 2;
  if (code < 0x80) return 1;
  return code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}
