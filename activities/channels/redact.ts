const REDACTED = '<redacted>';
const ANY_URL = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]+/gi;

export type Redact = (text: string) => string;

/**
 * Makes a function that removes secrets from a channel's errors and answers: whole URLs (with Slack, the path
 * is the secret), the parts of the channel's own `urls`, and `secrets` in all forms in which they are sent.
 */
export function redactor(urls: readonly string[], secrets: readonly string[] = []): Redact {
  const words = [...urls.flatMap(partsOf), ...secrets.flatMap((secret) => [secret, bare(secret)])]
    .filter((word) => word !== '')
    // The longest secrets come first. Otherwise a shorter one could replace a part of a longer one and leave
    // the rest.
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
