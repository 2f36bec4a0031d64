const REDACTED = '<redacted>';
const ANY_URL = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]+/gi;

export type Redact = (text: string) => string;

/**
 * Builds what takes secrets out of a channel's errors and answers: every URL whole (its path may be the
 * secret, as with Slack), the parts of the channel's own `urls`, and `secrets` in the forms they travel in.
 */
export function redactor(urls: readonly string[], secrets: readonly string[] = []): Redact {
  const words = [...urls.flatMap(partsOf), ...secrets.flatMap((secret) => [secret, bare(secret)])]
    .filter((word) => word !== '')
    // The longest first, or the part of a secret would be replaced and the rest left standing.
    .sort((a, b) => b.length - a.length);
  return (text) =>
    words.reduce((rest, word) => rest.replaceAll(word, REDACTED), text.replace(ANY_URL, REDACTED));
}

function partsOf(text: string): string[] {
  const url = new URL(text);
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  const segments = url.pathname.split('/').filter((segment) => segment.length >= 8);
  return [
    text,
    url.href,
    url.pathname.length > 1 ? url.pathname + url.search : url.search,
    ...segments,
    ...[...url.searchParams.values()].filter((value) => value.length >= 8),
    ...(password === ''
      ? []
      : // SMTP's AUTH PLAIN and LOGIN and HTTP's Basic carry it in base64.
        [
          password,
          url.password,
          base64(password),
          base64(`\0${user}\0${password}`),
          base64(`${user}:${password}`),
        ]),
  ];
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const bare = (secret: string) => secret.replace(/^whsec_/, '');
